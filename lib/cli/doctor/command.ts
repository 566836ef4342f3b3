import type { Member } from '../../node/members.js';
import { PaxosNode } from '../../node/node.js';
import type { NodeStatus } from '../../node/status.js';
import type { Command } from '../command.js';
import { EXIT } from '../exit-codes.js';
import { FARM_OPTIONS, nodeOptionsOf } from '../node-options.js';
import type { Output } from '../output.js';
import { hasQuorum } from '../status-command.js';
import { table } from '../table.js';
import { adviceFor, sizeOf } from './advice.js';
import { answerDoctors, TOPIC } from './answer.js';
import { DEFAULT_DATAGRAM_SIZE, examine, type Finding } from './checkup.js';

const TIMEOUT_MS = 5000;
/** Others are listened to for so long, from the start: each says something twice a second. */
const LISTENING_MS = 2000;
const LOOK_MS = 50;
/** Processes looked at; a farm has a few dozen. */
const MAX_EXAMINED = 64;

export const doctor: Command = {
  name: 'doctor',
  positionals: '',
  summary: 'find out whether the network between the hosts is good enough, and what to change',
  details: `Joins the farm for the moment, as a learner, and asks each of its processes: whether datagrams get there and back,
how large they may be, whether TCP does, how far the clocks differ, and how large the buffers are that datagrams are
received into. Of the way back from an app's process, which does not answer doctors, only the least is known. Where no
farm is found, it says what is heard. Exit code 1: there is something to change; 3: no farm.`,
  options: FARM_OPTIONS,
  life: 'until-done',
  run: async (args, { output, environment }) => {
    const options = nodeOptionsOf(args, environment);
    const node = new PaxosNode({ ...options, slot: false, timeout: options.timeout ?? TIMEOUT_MS });
    node.on('warning', ({ code, message }) => output.warn(code, message));
    answerDoctors(node);
    try {
      await pause(LISTENING_MS);
      await found(node, (options.timeout ?? TIMEOUT_MS) - LISTENING_MS);
      const others = node.members().filter(isHeard).slice(0, MAX_EXAMINED);
      const maxDatagramSize = args.integer('max-datagram-size', 512, 7800) ?? DEFAULT_DATAGRAM_SIZE;
      const findings = await Promise.all(others.map((member) => examine(node, member, maxDatagramSize)));
      return tell(node.status(), findings, maxDatagramSize, output);
    } finally {
      await node.close();
    }
  },
};

/** @throws NoQuorumError that says what is heard, if anything is */
async function found(node: PaxosNode, timeoutMs: number): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  while (node.status().incarnation === null) {
    // A question waits for the farm: to one, it fails with what keeps it from being found.
    if (performance.now() >= endMs) await node.ask(TOPIC, null, { timeoutMs: 1 });
    await pause(LOOK_MS);
  }
}

function isHeard(member: Member): member is Member & { readonly address: string } {
  return !member.isSelf && member.address !== null && member.isUp;
}

function tell(status: NodeStatus, findings: readonly Finding[], maxDatagramSize: number, output: Output): 0 | 1 {
  const { transport } = status.network;
  const problems = [
    ...(hasQuorum(status)
      ? []
      : ['Too few voters are heard for a quorum: start the others, or see why they are not heard.']),
    ...adviceFor({ receiveBufferSize: transport.receiveBufferSize, maxDatagramSize, findings }),
  ];
  if (output.isJson) {
    output.json({
      network: transport.description,
      receiveBufferSize: transport.receiveBufferSize,
      processes: findings,
      problems,
    });
  } else {
    output.line(
      `${transport.description}: ${findings.length} others heard; ${sizeOf(transport.receiveBufferSize)} to receive into\n`,
    );
    for (const line of linesOf(findings, output)) output.line(line);
    output.line('');
    for (const problem of problems) output.line(`${output.paint('yellow', '-')} ${problem}`);
    if (problems.length === 0) output.line(output.paint('green', 'Nothing to change.'));
  }
  return problems.length === 0 ? EXIT.ok : EXIT.no;
}

function linesOf(findings: readonly Finding[], output: Output): string[] {
  const rows = findings.map((finding) => [
    finding.slot === 0 ? '-' : String(finding.slot),
    finding.name,
    finding.address,
    finding.roundTripMs === null ? 'no answer' : `${finding.roundTripMs.toFixed(1)} ms`,
    finding.isWholeDatagram ? 'ok' : finding.datagramBytes === 0 ? 'lost' : `up to ${finding.datagramBytes} B`,
    finding.isStreamOpen ? 'ok' : 'fails',
    finding.aheadMs === null ? '' : `${finding.aheadMs > 0 ? '+' : ''}${finding.aheadMs} ms`,
    finding.receiveBufferSize === null ? '' : sizeOf(finding.receiveBufferSize),
  ]);
  const heads = ['slot', 'name', 'address', 'datagrams', 'large ones', 'TCP', 'clock', 'buffer'];
  const [head = '', ...lines] = table(heads, rows);
  return [output.paint('bold', head), ...lines];
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
