import type { Receiver, Transport, TransportStatus } from '../../lib/transport/index.js';
import type { Process } from './process.js';
import type { Random } from './random.js';
import type { World } from './world.js';

/** Chances of what happens to each datagram on each of its ways. */
export interface Weather {
  /** Of what is sent to everybody: requests, mostly. */
  readonly lossOfBroadcasts: number;
  /** Of what is sent to one: answers, mostly. */
  readonly lossOfAnswers: number;
  readonly duplication: number;
  readonly corruption: number;
  /** That it comes to somebody else, too. */
  readonly misdelivery: number;
  /** That an earlier datagram comes along once more. */
  readonly replay: number;
  readonly meanDelayMs: number;
  /** That it takes much longer. */
  readonly longDelay: number;
  readonly longDelayMs: number;
}

export const FAIR_WEATHER: Weather = {
  lossOfBroadcasts: 0,
  lossOfAnswers: 0,
  duplication: 0,
  corruption: 0,
  misdelivery: 0,
  replay: 0,
  meanDelayMs: 0.5,
  longDelay: 0,
  longDelayMs: 0,
};

type Kind = 'broadcast' | 'answer' | 'frame';

interface Datagram {
  readonly from: Process;
  readonly bytes: Uint8Array;
}

/** Earlier datagrams kept for replays. */
const MEMORY = 512;
const MAX_DELAY_MS = 10_000;

/** The network between the hosts: each process has a port of its own, and all hear a broadcast. */
export class Network {
  readonly #world: World;
  readonly #random: Random;
  readonly #receivers = new Map<number, { readonly process: Process; readonly receiver: Receiver }>();
  readonly #past: Datagram[] = [];
  readonly #cuts = new Map<string, number>();
  weather: Weather = FAIR_WEATHER;

  /** @param salt chooses the luck, 0 being the one that the seed gives */
  constructor(world: World, salt: number) {
    this.#world = world;
    this.#random = world.random.fork(salt === 0 ? 'network' : `network ${salt}`);
  }

  /** Cuts the way from one host to another. @returns heals it; ways may be cut several times over */
  cut(from: number, to: number): () => void {
    const way = `${from}>${to}`;
    this.#cuts.set(way, (this.#cuts.get(way) ?? 0) + 1);
    return () => {
      this.#cuts.set(way, (this.#cuts.get(way) ?? 0) - 1);
    };
  }

  isCut(from: number, to: number): boolean {
    return (this.#cuts.get(`${from}>${to}`) ?? 0) > 0;
  }

  transport(process: Process): Transport {
    const counts = { datagramsSent: 0, datagramsReceived: 0, streamFramesSent: 0, streamFramesReceived: 0 };
    return {
      maxDatagramSize: 1400,
      maxFrameSize: 2 ** 20 + 65_536,
      open: async (receiver) => {
        this.#receivers.set(process.port, { process, receiver });
        return { streamPort: process.port };
      },
      broadcast: (bytes) => {
        counts.datagramsSent += 1;
        const copy = this.#remember(process, bytes);
        for (const to of this.#receivers.keys()) this.#carry({ from: process, bytes: copy }, to, 'broadcast');
      },
      send: (to, bytes) => {
        counts.datagramsSent += 1;
        this.#carry({ from: process, bytes: this.#remember(process, bytes) }, to.port, 'answer');
      },
      sendStream: (to, bytes) => {
        counts.streamFramesSent += 1;
        this.#world.count('frames');
        this.#carry({ from: process, bytes: new Uint8Array(bytes) }, to.port, 'frame');
        return true;
      },
      status: (): TransportStatus => ({ description: 'simulated', ...counts, sendErrors: 0, receiveBufferSize: 0 }),
      close: async () => {
        this.#receivers.delete(process.port);
      },
    };
  }

  /** Nothing reaches a dead process. */
  drop(process: Process): void {
    this.#receivers.delete(process.port);
  }

  #remember(from: Process, bytes: Uint8Array): Uint8Array {
    const copy = new Uint8Array(bytes);
    if (this.#past.length < MEMORY) this.#past.push({ from, bytes: copy });
    else this.#past[this.#random.integer(MEMORY)] = { from, bytes: copy };
    return copy;
  }

  #carry(datagram: Datagram, to: number, kind: Kind): void {
    const { weather } = this;
    const random = this.#random;
    const target = this.#receivers.get(to)?.process;
    if (target === undefined) return;
    const isOwn = target === datagram.from;
    if (!isOwn && this.isCut(datagram.from.host.id, target.host.id)) {
      this.#world.count('cut off');
      return;
    }
    if (!isOwn && random.chance(kind === 'broadcast' ? weather.lossOfBroadcasts : weather.lossOfAnswers)) {
      this.#world.count(kind === 'broadcast' ? 'broadcast lost' : 'answer lost');
      return;
    }
    this.#schedule(datagram, to, kind);
    if (kind === 'frame') return;
    if (random.chance(weather.duplication)) {
      this.#world.count('doubled');
      this.#schedule(datagram, to, kind);
    }
    if (random.chance(weather.misdelivery)) {
      this.#world.count('misdelivered');
      this.#schedule(datagram, random.pick([...this.#receivers.keys()]) ?? to, kind);
    }
    if (random.chance(weather.replay)) {
      const old = random.pick(this.#past);
      if (old === undefined) return;
      this.#world.count('replayed');
      this.#schedule(old, random.pick([...this.#receivers.keys()]) ?? to, kind);
    }
  }

  #schedule(datagram: Datagram, to: number, kind: Kind): void {
    const { weather } = this;
    const random = this.#random;
    let delayMs = 0.02 + random.around(weather.meanDelayMs);
    if (random.chance(weather.longDelay)) {
      this.#world.count('long delay');
      delayMs += Math.min(MAX_DELAY_MS, random.around(weather.longDelayMs));
    }
    let { bytes } = datagram;
    if (random.chance(weather.corruption)) {
      this.#world.count('corrupted');
      bytes = new Uint8Array(bytes);
      const at = random.integer(bytes.length);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << random.integer(8));
    }
    const target = this.#receivers.get(to);
    if (target === undefined) return;
    const { process } = target;
    let isQueued = false;
    this.#world.at(
      datagram.from.nowMs + delayMs,
      process,
      () => {
        if (isQueued) process.backlog -= 1;
        const receiver = this.#receivers.get(to)?.receiver;
        const address = { host: `10.0.0.${datagram.from.host.id}`, port: datagram.from.port };
        if (datagram.from !== process) {
          this.#world.note(`${datagram.from.name}>${process.name} ${kind} ${bytes.length} ${sumOf(bytes)}`);
        }
        if (kind === 'frame') receiver?.onFrame(bytes, address);
        else receiver?.onDatagram(bytes, address);
      },
      () => {
        isQueued ||= process.queue();
        return isQueued;
      },
    );
  }
}

/** The end of the tag tells sealed bytes apart. */
function sumOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.slice(-4)).toString('hex');
}
