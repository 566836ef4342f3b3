import {
  Acceptor,
  type AcceptorAnswer,
  type AcceptorRequest,
  type Ballot,
  type Commit,
  type PaxosMessage,
} from '../../lib/paxos/index.js';
import { decodeBody, EVERYBODY, type Message, type Opened, Opener, Sealer } from '../../lib/wire/index.js';
import { allOf, override } from './override.js';
import { Process } from './process.js';
import type { Simulation } from './simulation.js';

/** One way of a message, to one process. */
export interface Leg {
  readonly to: string;
  /** Whether the way was cut when it was sent. */
  readonly isCut: boolean;
  /** When it came, each time. */
  readonly arrivedMs: number[];
  /** How often it came once more, and was refused as a repetition. */
  repeats: number;
  /** Whether what came could not be opened. */
  isDamaged: boolean;
  /** Whether an acceptor took it in, where it is for acceptors. */
  isTaken: boolean;
}

export interface Sent {
  readonly kind: 'message';
  readonly atMs: number;
  readonly process: string;
  readonly key: string;
  readonly message: PaxosMessage;
  readonly legs: readonly Leg[];
  /** Whether the same was sent before. */
  readonly isAgain: boolean;
}

/** What a process asked its own acceptor. */
export interface Own {
  readonly kind: 'own';
  readonly atMs: number;
  readonly process: string;
  readonly key: string;
  readonly request: AcceptorRequest;
  readonly answer: AcceptorAnswer | null;
}

export interface CallBegun {
  readonly kind: 'call';
  readonly atMs: number;
  readonly process: string;
  /** `null`: of all keys. */
  readonly key: string | null;
  readonly text: string;
}

export interface CallDone extends Omit<CallBegun, 'kind'> {
  readonly kind: 'answer';
  readonly answer: string;
  readonly calledMs: number;
}

/** Something that befell a process, or several. */
export interface Mark {
  readonly kind: 'mark';
  readonly atMs: number;
  readonly text: string;
}

export type Entry = Sent | Own | CallBegun | CallDone | Mark;

/** When a process was there, or was paused. */
export interface Span {
  readonly name: string;
  readonly fromMs: number;
  toMs: number;
}

/** A datagram or frame: the end of its tag names it. */
interface Datagram {
  readonly sent: readonly Sent[];
}

const REQUESTS: ReadonlySet<string> = new Set(['prepare', 'accept', 'commit', 'read', 'enumerate']);
const ANSWERS: ReadonlySet<string> = new Set(['promised', 'accepted', 'nack', 'held', 'enumerated']);
/** Lines of the trace that tell what befell a process. */
const MARK = /^fault: |^VIOLATION |^h\d+p\d+ (starts|is dead|stalls|warns)|^h\d+ (starts|has its clock)/;

/**
 * Writes down who said what to whom: listens where messages are sealed and opened, so that it sees each datagram with
 * all that became of it, and changes nothing.
 */
export class Chronicle {
  readonly entries: Entry[] = [];
  readonly lives: Span[] = [];
  readonly pauses: Span[] = [];
  readonly #simulation: Simulation;
  readonly #datagrams = new Map<string, Datagram>();
  readonly #names = new Map<number, string>();
  readonly #voters = new Set<string>();
  /** By asker and request: the key that it is about. */
  readonly #keys = new Map<string, string>();
  readonly #said = new Set<string>();
  readonly #calls = new Map<string, CallBegun>();
  /** What came in with the datagram that is being handled. */
  #arrived: { readonly process: string; readonly atMs: number; readonly sent: readonly Sent[] } | null = null;

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
  }

  /** @returns ends it */
  install(): () => void {
    const undo: (() => void)[] = [];
    const chronicle = this;
    const { trace } = this.#simulation.world;
    undo.push(
      override(
        Process.prototype,
        'pause',
        (pause) =>
          function (this: Process, ms) {
            const fromMs = chronicle.#simulation.world.nowMs;
            chronicle.pauses.push({ name: this.name, fromMs, toMs: fromMs + ms });
            pause.call(this, ms);
          },
      ),
    );
    undo.push(
      override(
        Sealer.prototype,
        'seal',
        (seal) =>
          function (this: Sealer, body) {
            const sealed = seal.call(this, body);
            chronicle.#sealed(body, sealed);
            return sealed;
          },
      ),
    );
    undo.push(
      override(
        Opener.prototype,
        'open',
        (open) =>
          function (this: Opener, sealed, nowMs) {
            const opened = open.call(this, sealed, nowMs);
            chronicle.#opened(sealed, opened);
            return opened;
          },
      ),
    );
    undo.push(
      override(
        Acceptor.prototype,
        'receive',
        (receive) =>
          function (this: Acceptor, request, now) {
            const answer = receive.call(this, request, now);
            chronicle.#taken(request, answer);
            return answer;
          },
      ),
    );
    undo.push(
      override(
        Acceptor.prototype,
        'commit',
        (commit) =>
          function (this: Acceptor, message) {
            chronicle.#taken(message, null);
            return commit.call(this, message);
          },
      ),
    );
    trace.listener = (atMs, line) => this.#hear(atMs, line);
    undo.push(() => {
      trace.listener = null;
    });
    return allOf(undo);
  }

  /** Whose number a ballot carries. */
  nameOf(process: number): string {
    return this.#names.get(process) ?? '?';
  }

  #sealed(body: Uint8Array, sealed: Uint8Array): void {
    const { running } = this.#simulation.world;
    const decoded = decodeBody(new Uint8Array(body));
    if (running === null || !decoded.ok) return;
    const { envelope, messages } = decoded;
    const { name } = running;
    this.#names.set(envelope.from, name);
    if (envelope.slot > 0) this.#voters.add(name);
    const to = envelope.to === EVERYBODY ? null : this.nameOf(envelope.to);
    const sent = messages.filter(isOfRegisters).map((message): Sent => {
      const key = this.#keyOf(message, envelope.from, envelope.to);
      const identity = `${name} ${envelope.to} ${JSON.stringify(headOf(message))}`;
      const entry: Sent = {
        kind: 'message',
        atMs: running.nowMs,
        process: name,
        key,
        message,
        legs: this.#legs(name, to),
        isAgain: this.#said.has(identity),
      };
      this.#said.add(identity);
      this.entries.push(entry);
      return entry;
    });
    this.#datagrams.set(tagOf(sealed), { sent });
  }

  /** Who it is for; of all that hear a request only those that vote count. */
  #legs(from: string, to: string | null): Leg[] {
    const { servers, network } = this.#simulation;
    const sender = servers.find(({ process }) => process.name === from)?.process;
    return servers.flatMap(({ process }) => {
      const isMeant = to === null ? this.#voters.has(process.name) : process.name === to;
      if (!isMeant || process.name === from) return [];
      const isCut = sender !== undefined && network.isCut(sender.host.id, process.host.id);
      return [{ to: process.name, isCut, arrivedMs: [], repeats: 0, isDamaged: false, isTaken: false }];
    });
  }

  #opened(sealed: Uint8Array, opened: Opened): void {
    const { running, nowMs } = this.#simulation.world;
    const datagram = this.#datagrams.get(tagOf(sealed));
    if (running === null || datagram === undefined) return;
    const { name } = running;
    if (opened.ok) this.#arrived = { process: name, atMs: nowMs, sent: datagram.sent };
    for (const { legs } of datagram.sent) {
      const leg = legs.find(({ to }) => to === name);
      if (leg === undefined) continue;
      if (opened.ok) leg.arrivedMs.push(running.nowMs);
      else if (opened.reason === 'replayed') leg.repeats += 1;
      else leg.isDamaged = true;
    }
  }

  #taken(request: AcceptorRequest | Commit, answer: AcceptorAnswer | null): void {
    const { running, nowMs } = this.#simulation.world;
    if (running === null) return;
    const { name } = running;
    const head = JSON.stringify(headOf(request));
    const arrived = this.#arrived;
    if (arrived !== null && arrived.process === name && arrived.atMs === nowMs) {
      const from = arrived.sent.find(({ message }) => JSON.stringify(headOf(message)) === head);
      const leg = from?.legs.find(({ to }) => to === name);
      if (leg !== undefined) {
        leg.isTaken = true;
        return;
      }
    }
    const key = 'key' in request ? request.key : request.type === 'enumerate' ? request.prefix : '';
    if (request.type !== 'commit')
      this.entries.push({ kind: 'own', atMs: running.nowMs, process: name, key, request, answer });
  }

  #keyOf(message: PaxosMessage, from: number, to: number): string {
    if (message.type === 'enumerate') this.#keys.set(`${from} ${message.request}`, message.prefix);
    else if ('key' in message && message.type !== 'commit') this.#keys.set(`${from} ${message.request}`, message.key);
    if ('key' in message) return message.key;
    if (message.type === 'enumerate') return message.prefix;
    return this.#keys.get(`${to} ${message.request}`) ?? '?';
  }

  /** Calls, and what befell whom, are told in the trace. */
  #hear(atMs: number, line: string): void {
    const [process = ''] = line.split(' ', 1);
    if (line.endsWith(' starts') && process.includes('p')) {
      this.lives.push({ name: process, fromMs: atMs, toMs: Number.POSITIVE_INFINITY });
    }
    if (line.endsWith(' is dead')) {
      const life = this.lives.find(({ name }) => name === process);
      if (life !== undefined) life.toMs = atMs;
    }
    const stalledMs = / stalls (\d+)$/.exec(line)?.[1];
    if (stalledMs !== undefined) this.pauses.push({ name: process, fromMs: atMs, toMs: atMs + Number(stalledMs) });
    if (MARK.test(line)) {
      this.entries.push({ kind: 'mark', atMs, text: line });
      return;
    }
    if (line.endsWith(' ...')) {
      const label = line.slice(0, -4);
      const text = label.slice(process.length + 1);
      const call: CallBegun = { kind: 'call', atMs, process, key: keyIn(text), text: text.trim() };
      this.#calls.set(label, call);
      this.entries.push(call);
      return;
    }
    // A label may hold colons.
    for (let end = line.indexOf(': '); end >= 0; end = line.indexOf(': ', end + 1)) {
      const label = line.slice(0, end);
      const call = this.#calls.get(label);
      if (call === undefined) continue;
      this.#calls.delete(label);
      this.entries.push({ ...call, kind: 'answer', atMs, calledMs: call.atMs, answer: line.slice(end + 2) });
      return;
    }
  }
}

function isOfRegisters(message: Message): message is PaxosMessage {
  return REQUESTS.has(message.type) || ANSWERS.has(message.type);
}

/** The register or the session that a call is about. */
function keyIn(text: string): string | null {
  const register = /\breg\/\S+/.exec(text);
  if (register !== null) return register[0];
  const session = /^\w+ (s\d+)\b/.exec(text);
  return session === null ? null : `sess/${session[1]}`;
}

/** What tells messages of one sender apart. */
function headOf(message: PaxosMessage): readonly (string | number | Ballot)[] {
  switch (message.type) {
    case 'accept':
      return ['accept', message.request, message.key, message.proposal.accepted];
    case 'commit':
      return ['commit', message.key, message.ballot, message.operation];
    case 'prepare':
      return ['prepare', message.request, message.key, message.ballot];
    case 'read':
      return ['read', message.request, message.key];
    case 'enumerate':
      return ['enumerate', message.request, message.prefix, message.shard];
    case 'promised':
    case 'accepted':
      return [message.type, message.request, message.ballot];
    case 'nack':
      return ['nack', message.request, message.phase, message.ballot];
    case 'held':
      return ['held', message.request];
    case 'enumerated':
      return ['enumerated', message.request, message.shard];
    case 'compare':
    case 'differs':
      return [message.type, message.request];
    case 'pull':
      return ['pull', message.request, message.keys[0] ?? ''];
    case 'pulled':
      return ['pulled', message.request, message.first];
    case 'transfer':
    case 'transferred':
    case 'named':
      return [message.type, message.request, message.shard, message.after];
  }
}

function tagOf(sealed: Uint8Array): string {
  return Buffer.from(sealed.slice(-16)).toString('hex');
}
