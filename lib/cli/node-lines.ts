/** What a node's process prints: a line for each thing that happens. */
import type { MemberEvent } from '../node/members.js';
import type { PaxosNode } from '../node/node.js';
import type { Output } from './output.js';

const MEMBER_WORDS: Readonly<Record<MemberEvent['kind'], string>> = {
  joined: 'has come',
  left: 'has left',
  suspected: 'is silent',
  returned: 'is heard again',
};

export function announceStart(node: PaxosNode, output: Output): void {
  const { name, cluster, clusterSize } = node.status();
  const text = `${name} looks for cluster '${cluster}' of ${clusterSize} voters`;
  say(output, 'starting', text, { name, cluster, clusterSize });
}

/** What happens from now on. */
export function tell(node: PaxosNode, output: Output): void {
  node.on('warning', ({ code, message }) =>
    say(output, 'warning', `${output.paint('yellow', 'warning')}: ${message}`, { code, message }),
  );
  node.on('connect', () => say(output, 'quorum', output.paint('green', 'quorum in contact'), { hasQuorum: true }));
  node.on('disconnect', () => {
    const text = output.paint('red', 'quorum lost: nothing can be read or written until it is back');
    say(output, 'quorum', text, { hasQuorum: false });
  });
  node.on('member', ({ kind, member }) => {
    const { name, process, address, slot, role, isUp } = member;
    const colour = kind === 'suspected' ? 'yellow' : 'dim';
    const text = `${name} ${output.paint(colour, MEMBER_WORDS[kind])}${slot === 0 ? '' : ` (slot ${slot})`}`;
    say(output, 'member', text, { kind, name, process, address, slot, role, isUp });
  });
  node.on('recovery', (progress) => {
    const text = `reads what the others hold: ${Math.floor(progress.share * 100)} %, ${progress.records} records`;
    say(output, 'recovery', text, { ...progress });
  });
  node.on('resize', (progress) => {
    const { from, to, stage } = progress;
    const text =
      stage === 'done' ? `the farm has ${to} voters` : `the farm goes from ${from} to ${to} voters: ${stage}`;
    say(output, 'resize', text, { ...progress });
  });
}

/** @throws what keeps the node from starting */
export async function announceReady(node: PaxosNode, output: Output, ending: AbortSignal): Promise<void> {
  try {
    await node.ready();
  } catch (error) {
    if (!ending.aborted) throw error;
  }
  if (ending.aborted) return;
  const { slot, process, clusterSize: size } = node.status();
  const what = slot === 0 ? 'as a learner' : `slot ${slot} of ${size}`;
  say(output, 'ready', `ready, ${what}`, { slot, clusterSize: size, process });
}

/** A line: text for people, an object for programs. */
export function say(
  output: Output,
  event: string,
  text: string,
  details: Readonly<Record<string, unknown>> = {},
): void {
  const at = new Date().toISOString();
  if (output.isJson) output.json({ at, event, ...details });
  else output.line(`${output.paint('dim', at)} ${text}`);
}
