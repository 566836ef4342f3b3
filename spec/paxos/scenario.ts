/**
 * Runs scenario files: blocks of commands, `----`, and what they print, parted by empty lines; `#` says why.
 *
 *     cluster 3 [skew=10s] [timeout=5s] [retransmit=100ms] [lineage=short]
 *     A set k=v [for=1m]        A calls; also: put, append, cas k=old->new, increment, touch, destroy, get, settle
 *     run A set k=v at=1,2      the same, from start to end, heard by slots 1 and 2 only; `times=n` repeats it
 *     deliver A->1 [accept]     the oldest message on that way (of that type) arrives; `*` for all, from or to anybody
 *     deliver 1->A as=learner   the answer seems to come from a process without a slot; `as=2`: from slot 2
 *     repeat A->1               arrives, and stays on its way
 *     drop A->1                 is lost
 *     advance 50ms              time passes, and falls due what does
 *     pause A, resume A         time passes unnoticed; and is noticed by the next message
 *     crash A                   with all that it had under way
 *     clock A +2s, clock 1 untrusted
 *     forget [1]                acceptors forget what is over; prints the keys that are to be settled first
 *     show k                    what each acceptor holds
 *
 * Processes are A to D; slots are 1 to N. Ballots read `ms.counter+process`, times are counted from the start.
 */
import {
  type AcceptorAnswer,
  type AcceptorRequest,
  type Change,
  FOREVER,
  type Proposal,
} from '../../lib/paxos/index.js';
import { append, compareAndSet, decode, destroy, increment, observe, put, set, touch } from './changes.js';
import { EPOCH_MS, Farm, isRequest, type Mutation, type Operation, showBallot } from './harness.js';

export interface Block {
  readonly commands: readonly string[];
  readonly expected: string;
  readonly line: number;
}

/** The blocks of a file; the text between them is kept by {@link rewrite}. */
export function parse(text: string): Block[] {
  const blocks: Block[] = [];
  let commands: string[] = [];
  let output: string[] | null = null;
  let line = 0;
  const close = (): void => {
    if (output !== null) blocks.push({ commands, expected: output.join('\n'), line });
    if (output !== null) commands = [];
    output = null;
  };
  text.split('\n').forEach((raw, index) => {
    if (output !== null) {
      if (raw === '') close();
      else output.push(raw);
    } else if (raw === '----') {
      output = [];
      line = index + 1;
    } else if (raw !== '' && !raw.startsWith('#')) {
      commands.push(raw);
    }
  });
  close();
  if (commands.length > 0) throw new SyntaxError(`commands without an answer: ${commands.join('; ')}`);
  return blocks;
}

/** The same file with other answers. */
export function rewrite(text: string, outputs: readonly string[]): string {
  const lines: string[] = [];
  let block = 0;
  let isAnswer = false;
  for (const raw of text.trimEnd().split('\n')) {
    if (raw === '') isAnswer = false;
    if (!isAnswer) lines.push(raw);
    if (raw === '----') {
      isAnswer = true;
      lines.push(outputs[block] ?? '');
      block += 1;
    }
  }
  return `${lines.join('\n')}\n`;
}

/** Runs a scenario; what each of its blocks printed. */
export class Scenario {
  readonly #mutation: Mutation | undefined;
  #farm: Farm | null = null;
  #printed: string[] = [];
  #isQuiet = false;

  constructor(mutation?: Mutation) {
    this.#mutation = mutation;
  }

  run(block: Block): string {
    this.#printed = [];
    for (const command of block.commands) {
      const before = this.#printed.length;
      try {
        this.#command(command.split(' '));
      } catch (error) {
        throw new Error(`${command}: ${error instanceof Error ? error.message : error}`, { cause: error });
      }
      if (this.#printed.length === before && block.commands.length === 1) this.#print('ok');
    }
    return this.#printed.length === 0 ? 'ok' : this.#printed.join('\n');
  }

  get #cluster(): Farm {
    if (this.#farm === null) throw new Error('a scenario begins with "cluster N"');
    return this.#farm;
  }

  #print(line: string): void {
    this.#printed.push(line);
  }

  #command(words: readonly string[]): void {
    const [verb = '', first = '', second = ''] = words;
    switch (verb) {
      case 'cluster':
        this.#start(Number(first), options(words.slice(2)));
        break;
      case 'deliver':
      case 'repeat':
      case 'drop':
        this.#move(verb, first, words.slice(2));
        break;
      case 'advance':
        this.#cluster.advance(parseMs(first));
        break;
      case 'pause':
      case 'resume':
        this.#cluster.process(first).isPaused = verb === 'pause';
        break;
      case 'crash':
        this.#cluster.crash(this.#cluster.process(first));
        break;
      case 'clock':
        this.#clock(first, second);
        break;
      case 'forget':
        this.#forget(first);
        break;
      case 'show':
        this.#show(first);
        break;
      case 'run':
        this.#run(words.slice(1));
        break;
      default:
        this.#call(words);
    }
  }

  #start(size: number, given: ReadonlyMap<string, string>): void {
    const maxClockSkewMs = parseMs(given.get('skew') ?? '10s');
    const timeoutMs = parseMs(given.get('timeout') ?? '5s');
    const retransmitMs = parseMs(given.get('retransmit') ?? '100ms');
    const shortensLineage = given.get('lineage') === 'short';
    const farm = new Farm({
      size,
      maxClockSkewMs,
      timeoutMs,
      retransmitMs,
      shortensLineage,
      mutation: this.#mutation,
    });
    for (const name of ['A', 'B', 'C', 'D']) farm.addProcess(name);
    farm.observers.push({
      sent: (operation, { message, slots }) => {
        const to = slots === null ? '*' : slots.join(',');
        if (!this.#isQuiet) this.#print(`${operation.process.name}->${to} ${this.#showRequest(message)}`);
      },
      stepped: (site, request, answer) => {
        if (this.#isQuiet || request === null) return;
        if (answer === null) this.#print(`${site.slot} knows`);
        else this.#print(`${site.slot}-> ${this.#showAnswer(answer)}`);
      },
      ended: (operation) =>
        this.#print(`${operation.process.name} ${operation.label}: ${this.#showOutcome(operation)}`),
    });
    this.#farm = farm;
  }

  #call([name = '', verb = '', ...rest]: readonly string[]): Operation {
    const farm = this.#cluster;
    const process = farm.process(name);
    const [subject = '', ...tail] = rest;
    const [key = '', argument = ''] = subject.split(/=(.*)/);
    const lifeMs = parseMs(options(tail).get('for') ?? '1m');
    const until = lifeMs === FOREVER ? FOREVER : farm.now(process.clock).wallMs + lifeMs;
    const label = `${verb} ${subject}`;
    if (verb === 'get') return farm.read(process, key, label);
    return farm.change(process, key, label, changeFor(verb, argument, until));
  }

  /** Runs a call to its end, heard by some slots only; what it says to the others is lost. */
  #run(words: readonly string[]): void {
    const farm = this.#cluster;
    const given = options(words);
    const slots = given.get('at')?.split(',') ?? farm.sites.map((site) => String(site.slot));
    const times = Number(given.get('times') ?? 1);
    for (let turn = 0; turn < times; turn += 1) {
      const earlier = new Set(farm.inFlight);
      this.#isQuiet = true;
      const operation = this.#call(words);
      for (let waitedMs = 0; waitedMs < MAX_RUN_MS; ) {
        const next = farm.inFlight.find(
          (envelope) => !earlier.has(envelope) && [envelope.from, envelope.to].includes(operation.process.name),
        );
        if (next === undefined && operation.outcome !== null) break;
        if (next === undefined) {
          farm.advance(1);
          waitedMs += 1;
        } else if (isRequest(next.message) && !slots.includes(next.to)) farm.remove(next);
        else farm.deliver(next);
      }
      this.#isQuiet = false;
      if (operation.outcome === null) throw new Error('it does not end');
      if (turn < times - 1) this.#printed.pop();
    }
  }

  #move(verb: 'deliver' | 'repeat' | 'drop', way: string, rest: readonly string[]): void {
    const farm = this.#cluster;
    const [from = '', to = ''] = way.split('->');
    const given = options(rest);
    const type = rest.find((word) => !word.includes('='));
    const isMeant = (wanted: string, name: string): boolean => wanted === '*' || wanted.split(',').includes(name);
    let found = farm.inFlight.filter(
      (envelope) =>
        isMeant(from, envelope.from) &&
        isMeant(to, envelope.to) &&
        (type ?? envelope.message.type) === envelope.message.type,
    );
    if (found.length === 0) throw new Error('no such message is on its way');
    if (!/[*,]/.test(way)) found = found.slice(0, 1);
    const as = given.get('as');
    for (const envelope of found) {
      if (verb === 'drop') farm.remove(envelope);
      else {
        const slot = as === 'learner' ? 0 : Number(as ?? envelope.from);
        const answerer = as === undefined ? undefined : { process: 99, slot };
        if (verb === 'deliver') farm.deliver(envelope, answerer);
        else farm.deliverCopy(envelope, answerer);
      }
    }
  }

  #clock(whose: string, setting: string): void {
    const { clock } = /^\d+$/.test(whose) ? this.#cluster.site(Number(whose)) : this.#cluster.process(whose);
    if (setting === 'trusted' || setting === 'untrusted') clock.isTrusted = setting === 'trusted';
    else clock.offsetMs = (setting.startsWith('-') ? -1 : 1) * parseMs(setting.slice(1));
  }

  #forget(slot: string): void {
    const farm = this.#cluster;
    for (const site of slot === '' ? farm.sites : [farm.site(Number(slot))]) {
      const before = site.acceptor.size;
      const unsettled = farm.collect(site);
      const gone = before - site.acceptor.size;
      const pending = unsettled.length === 0 ? '' : `; to be settled: ${unsettled.join(' ')}`;
      this.#print(`${site.slot} forgets ${gone}, floor ${showBallot(farm, site.acceptor.floor)}${pending}`);
    }
  }

  #show(key: string): void {
    for (const { slot, acceptor } of this.#cluster.sites) {
      const record = acceptor.record(key);
      if (record === undefined) {
        this.#print(`${slot} holds nothing`);
        continue;
      }
      const { promised, proposal, committed, horizon } = record;
      const held = proposal === null ? 'nothing' : `${this.#showProposal(proposal)}${committed ? ' committed' : ''}`;
      this.#print(`${slot} promised ${this.#ballot(promised)} holds ${held} horizon=${showTime(horizon)}`);
    }
  }

  #ballot(ballot: Proposal['accepted']): string {
    return showBallot(this.#cluster, ballot);
  }

  #showProposal({ accepted, value, until, lineage }: Proposal): string {
    const text = value === null ? 'a tombstone' : `"${decode(value)}" until=${showTime(until)}`;
    const operations = lineage.map((entry) => entry.operation);
    const shown = operations.length > 6 ? [`${operations.length} operations`] : operations;
    return `${this.#ballot(accepted)} ${text} by [${shown.join(' ')}]`;
  }

  #showRequest(message: AcceptorRequest): string {
    switch (message.type) {
      case 'prepare':
        return `prepare ${message.key} ${this.#ballot(message.ballot)} bound=${showTime(message.bound)}`;
      case 'accept':
        return `accept ${message.key} ${this.#showProposal(message.proposal)} horizon=${showTime(message.horizon)}`;
      case 'commit':
        return `commit ${message.key} ${this.#ballot(message.ballot)} ${message.effect}`;
      case 'read':
      case 'enumerate':
      case 'compare':
      case 'pull':
      case 'transfer':
        return message.type;
    }
  }

  #showAnswer(answer: AcceptorAnswer): string {
    switch (answer.type) {
      case 'promised':
        return `promised ${this.#ballot(answer.ballot)} ${this.#showReport(answer.report)} horizon=${showTime(answer.horizon)}`;
      case 'accepted':
        return `accepted ${this.#ballot(answer.ballot)}`;
      case 'nack':
        return `nack ${answer.phase} ${this.#ballot(answer.ballot)} ${answer.reason} promised=${this.#ballot(answer.promised)}`;
      case 'held':
        return `held ${this.#showReport(answer.report)}`;
      case 'enumerated':
        return `enumerated ${answer.keys.map((entry) => entry.key).join(' ')}`;
      case 'differs':
        return `differs in ${answer.shards.join(' ')}`;
      case 'pulled':
        return `pulled ${answer.copies.map(({ key, proposal }) => `${key} ${this.#showProposal(proposal)}`).join(', ')}`;
      case 'transferred':
        return `transferred ${answer.records.map(({ key }) => key).join(' ')}`;
      case 'named':
        return `named ${answer.names.map(({ key }) => key).join(' ')}`;
    }
  }

  #showReport(report: { readonly proposal: Proposal; readonly committed: boolean } | null): string {
    if (report === null) return 'nothing';
    return `${this.#showProposal(report.proposal)}${report.committed ? ' committed' : ''}`;
  }

  #showOutcome({ outcome, label }: Operation): string {
    switch (outcome?.kind) {
      case 'done':
        return label.startsWith('get') ? decode(outcome.state.value) : String(outcome.result);
      case 'threw':
        return `threw ${outcome.error}`;
      case 'no-quorum':
        return 'no quorum, nothing happened';
      default:
        return 'outcome unknown';
    }
  }
}

function changeFor(verb: string, argument: string, until: number): Change<unknown> {
  const [expected = '', text = ''] = argument.split('->');
  switch (verb) {
    case 'set':
      return set(argument, until);
    case 'put':
      return put(argument, until);
    case 'append':
      return append(argument, until);
    case 'cas':
      return compareAndSet(expected, text, until);
    case 'increment':
      return increment(until);
    case 'touch':
      return touch(until);
    case 'destroy':
      return destroy();
    case 'settle':
      return observe();
    default:
      throw new SyntaxError(`no such command: ${verb}`);
  }
}

function options(words: readonly string[]): Map<string, string> {
  const given = new Map<string, string>();
  for (const word of words) {
    const [name = '', value] = word.split(/=(.*)/);
    if (value !== undefined) given.set(name, value);
  }
  return given;
}

/** How long `run` waits for the end, when it has to try again. */
const MAX_RUN_MS = 1000;

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

function parseMs(text: string): number {
  if (text === 'ever') return FOREVER;
  const [, amount, unit = ''] = /^(\d+)(ms|s|m|h|d)$/.exec(text) ?? [];
  const factor = UNITS_MS[unit];
  if (amount === undefined || factor === undefined) throw new SyntaxError(`not a time: ${text}`);
  return Number(amount) * factor;
}

function showTime(wallMs: number): string {
  if (wallMs === 0) return '0';
  if (wallMs >= FOREVER) return 'ever';
  const ms = wallMs - EPOCH_MS;
  return ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`;
}
