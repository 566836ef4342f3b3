import type { Answerer } from '../paxos/index.js';
import type { Address, Receiver, Transport } from '../transport/index.js';
import {
  decodeBody,
  decodeEnvelope,
  type Envelope,
  EVERYBODY,
  encodeMessage,
  type Keyring,
  type Message,
  Opener,
  type OpenerCounters,
  Outbox,
  Sealer,
} from '../wire/index.js';
import type { Runtime } from './runtime.js';

/** Ms that a datagram may be under way beyond what the clocks may differ. */
const MAX_DELAY_MS = 2000;

/** What came in and was found authentic, well-formed, for this process and recent. */
export interface Arrival {
  readonly envelope: Envelope;
  readonly messages: readonly Message[];
  readonly from: Address;
  /** Whether it came as a frame: then `from` is a connection's address, not one that datagrams can be sent to. */
  readonly isFrame: boolean;
  readonly answerer: Answerer;
}

export interface LinkSetup {
  readonly process: number;
  readonly transport: Transport;
  readonly keyring: Keyring;
  readonly runtime: Runtime;
  readonly maxClockSkewMs: number;
  /** Ms since 1970, of the guarded clock. */
  wallMs(): number;
  /** Says who this process is, at each sending. */
  identity(): Pick<Envelope, 'incarnation' | 'slot' | 'vector'>;
  /** Where to reach a process; `null` if that is not known. */
  locate(process: number): { readonly datagram: Address; readonly stream: Address } | null;
  /** Processes that a message for everybody must reach, one by one, where it is too large for a datagram. */
  audience(): readonly number[];
  /** All processes known, voters or not: who there is, and who votes, has to reach them too. */
  company(): readonly number[];
  receive(arrival: Arrival): void;
  /** An authentic datagram was refused for its age: the sender's clock or the network is off. */
  refusedAge(process: number, from: Address, ageMs: number): void;
  warn(code: string, message: string): void;
}

/** What went wrong with what came in and out, beside what transport and sealing count; for `status()`. */
export interface LinkCounters {
  malformed: number;
  tooOld: number;
  notForUs: number;
  /** Questions and answers of processes that did not know the same holders of the slots: they do not count. */
  otherVector: number;
  /** Messages of a type that only a later version knows. */
  unknownType: number;
  /** Messages not sent: too much waiting, too large, or no address known. */
  unsent: number;
}

/**
 * Between the protocol and the transport: messages out are encoded, gathered for one tick, sealed and sent; datagrams
 * in are opened, checked and handed on. What does not pass leaves nothing behind but a count.
 */
export class Link {
  readonly #setup: LinkSetup;
  readonly #outbox: Outbox;
  readonly #opener: Opener;
  #isFlushDue = false;
  #isClosed = false;
  #ownAddress: Address | null = null;
  readonly counters: LinkCounters = { malformed: 0, tooOld: 0, notForUs: 0, otherVector: 0, unknownType: 0, unsent: 0 };

  constructor(setup: LinkSetup) {
    this.#setup = setup;
    const { keyring, runtime, transport, process, maxClockSkewMs } = setup;
    const randomBytes = (size: number): Uint8Array => runtime.randomBytes(size);
    const sealer = new Sealer(keyring, randomBytes);
    const frameSealer = new Sealer(keyring, randomBytes);
    this.#outbox = new Outbox({
      sealer,
      frameSealer,
      envelope: (to) => ({ from: process, to, clockMs: Math.floor(setup.wallMs()), ...setup.identity() }),
      maxDatagramSize: transport.maxDatagramSize,
    });
    this.#opener = new Opener({
      keyring,
      randomBytes,
      own: [sealer, frameSealer],
      retentionMs: 2 * maxClockSkewMs + 2 * MAX_DELAY_MS,
      isRecent: (body) => {
        const envelope = decodeEnvelope(body);
        return envelope !== null && !this.#isTooOld(envelope);
      },
    });
  }

  get sealing(): OpenerCounters {
    return this.#opener.counters;
  }

  get outbox(): Outbox['status'] {
    return this.#outbox.status;
  }

  /** Where this process's own datagrams come from, as it hears them itself; `null` where the network brings none back. */
  get ownAddress(): Address | null {
    return this.#ownAddress;
  }

  open(): Promise<{ readonly streamPort: number }> {
    const receiver: Receiver = {
      onDatagram: (bytes, from) => this.#receive(bytes, from, false),
      onFrame: (bytes, from) => this.#receive(bytes, from, true),
      onWarning: (code, message) => this.#setup.warn(code, message),
    };
    return this.#setup.transport.open(receiver);
  }

  /** Stops sending; what came in before is not handed on any more. */
  close(): Promise<void> {
    this.#isClosed = true;
    return this.#setup.transport.close();
  }

  /** @param to process, or 0 for everybody */
  send(to: number, message: Message): void {
    const encoded = encodeMessage(message);
    const added = this.#outbox.add(to, encoded);
    if (added === 'queued') this.#scheduleFlush();
    else if (added === 'large') this.#sendLarge(to, message, encoded);
    else this.counters.unsent += 1;
  }

  #sendLarge(to: number, message: Message, encoded: Uint8Array): void {
    const short = withoutNames(message);
    if (short === null) this.#sendFrames(to, encoded, this.#setup.audience());
    else if (this.#outbox.add(to, encodeMessage(short)) === 'queued') this.#scheduleFlush();
    else this.#sendFrames(to, encoded, this.#setup.company());
  }

  /** To everybody, riding on the next datagram that goes there. */
  sendLazy(message: Message): void {
    const encoded = encodeMessage(message);
    const added = this.#outbox.addLazy(encoded);
    if (added === 'large') this.#sendFrames(EVERYBODY, encoded, this.#setup.audience());
    else if (added !== 'queued') this.counters.unsent += 1;
  }

  /** It is heard again after a silence: see {@link Transport.reconnect}. */
  reconnect(process: number): void {
    const address = this.#setup.locate(process);
    if (address !== null && address.stream.port !== 0) this.#setup.transport.reconnect?.(address.stream);
  }

  /** Sends what was asked and answered by now, before what this process is changes: its envelope says so. */
  flushQueued(): void {
    this.#outbox.flush((to, datagram) => this.#emit(to, datagram));
  }

  /** Sends what waits now, lazy messages included. */
  flush(): void {
    this.#outbox.flushLazy((to, datagram) => this.#emit(to, datagram));
  }

  #scheduleFlush(): void {
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    // Not in a microtask: those run between two datagrams received, and nothing would be gathered.
    this.#setup.runtime.defer(() => {
      this.#isFlushDue = false;
      this.#outbox.flush((to, datagram) => this.#emit(to, datagram));
    });
  }

  #emit(to: number, datagram: Uint8Array): void {
    if (this.#isClosed) return;
    const { transport } = this.#setup;
    const address = to === EVERYBODY ? null : this.#setup.locate(to);
    if (to === EVERYBODY) transport.broadcast(datagram);
    else if (address === null) this.counters.unsent += 1;
    else transport.send(address.datagram, datagram);
  }

  /** @param everybody who that is */
  #sendFrames(to: number, encoded: Uint8Array, everybody: readonly number[]): void {
    if (this.#isClosed) return;
    for (const process of to === EVERYBODY ? everybody : [to]) {
      const address = this.#setup.locate(process);
      if (address === null || address.stream.port === 0) {
        this.counters.unsent += 1;
        continue;
      }
      const frame = this.#outbox.sealFrame(process, encoded);
      const { maxFrameSize } = this.#setup.transport;
      if (frame.length > maxFrameSize) {
        this.#setup.warn(
          'too-large',
          `A message of ${frame.length} bytes can't be sent: the transport takes ${maxFrameSize}. Keep smaller values, or fewer and shorter keys.`,
        );
      } else if (this.#setup.transport.sendStream(address.stream, frame)) continue;
      this.counters.unsent += 1;
    }
  }

  /**
   * @returns whether it was authentic, for this process, and recent. If not, it may be a recording, with which strangers
   *   would prove as many connections as this node takes, keep the farm's out, and have datagrams sent where they are.
   */
  #receive(bytes: Uint8Array, from: Address, isFrame: boolean): boolean {
    if (this.#isClosed) return false;
    const opened = this.#opener.open(bytes, this.#setup.runtime.monotonicMs());
    if (!opened.ok) {
      if (opened.reason === 'own') this.#ownAddress = from;
      return false;
    }
    const body = decodeBody(opened.body);
    if (!body.ok) {
      this.counters.malformed += 1;
      this.#setup.warn(
        'malformed',
        `${from.host}:${from.port} knows the secret and sends what can't be read (${body.reason}): is it another version of this package?`,
      );
      return false;
    }
    const { envelope, messages } = body;
    this.counters.unknownType += body.skipped;
    if (envelope.to !== EVERYBODY && envelope.to !== this.#setup.process) {
      // Meant for another process: redirected, or for one that had this port before.
      this.counters.notForUs += 1;
      return false;
    }
    if (this.#isTooOld(envelope)) {
      this.counters.tooOld += 1;
      this.#setup.refusedAge(envelope.from, from, this.#setup.wallMs() - envelope.clockMs);
      return false;
    }
    const { from: process, slot } = envelope;
    this.#setup.receive({ envelope, messages, from, isFrame, answerer: { process, slot } });
    return true;
  }

  #isTooOld(envelope: Envelope): boolean {
    return this.#setup.wallMs() - envelope.clockMs > this.#setup.maxClockSkewMs + MAX_DELAY_MS;
  }
}

/** What tells of a farm's voters, without their names, which are for people: with long ones it fits in no datagram. */
function withoutNames(message: Message): Message | null {
  if (message.type !== 'hello' && message.type !== 'vouch' && message.type !== 'form') return null;
  if (message.view === null) return null;
  const holders = message.view.holders.map((holder) => holder && { ...holder, name: '' });
  return { ...message, view: { ...message.view, holders } };
}
