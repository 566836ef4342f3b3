/** Transports for the specs: they note what they get, and are closed after each spec. */
import { randomInt } from 'node:crypto';
import { afterEach } from '@jest/globals';
import { createTransport, type TransportOption, type UdpTransportLimits } from '../../lib/transport/index.js';
import type { Address, Receiver, Transport } from '../../lib/transport/transport.js';

export interface Received {
  readonly bytes: Buffer;
  readonly from: Address;
}

/** A receiver that keeps all it is given. Whatever begins with `bad` is not authentic. */
export class Notes implements Receiver {
  readonly datagrams: Received[] = [];
  readonly frames: Received[] = [];
  readonly warnings: { readonly code: string; readonly message: string }[] = [];

  onDatagram(bytes: Uint8Array, from: Address): boolean {
    return this.#note(this.datagrams, bytes, from);
  }

  onFrame(bytes: Uint8Array, from: Address): boolean {
    return this.#note(this.frames, bytes, from);
  }

  onWarning(code: string, message: string): void {
    this.warnings.push({ code, message });
  }

  /** The first datagram with that text. */
  find(text: string): Received | undefined {
    return this.datagrams.find(({ bytes }) => bytes.toString() === text);
  }

  codes(): string[] {
    return this.warnings.map(({ code }) => code);
  }

  #note(list: Received[], bytes: Uint8Array, from: Address): boolean {
    const copy = Buffer.from(bytes);
    list.push({ bytes: copy, from });
    return copy.subarray(0, 3).toString() !== 'bad';
  }
}

export interface Node {
  readonly transport: Transport;
  readonly notes: Notes;
  readonly streamPort: number;
}

const opened: Transport[] = [];

/** Opens a transport that is closed after the spec. */
export async function openNode(option: TransportOption, limits?: UdpTransportLimits): Promise<Node> {
  const transport = createTransport(option, limits);
  opened.push(transport);
  const notes = new Notes();
  const { streamPort } = await transport.open(notes);
  return { transport, notes, streamPort };
}

export function closeAll(): void {
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((transport) => transport.close()));
  });
}

/** A port that is likely free; below the range from which the system takes its own. */
export function drawPort(): number {
  return randomInt(10_000, 32_000);
}

/** A group that no other run on this machine uses. */
export function drawGroup(): string {
  return `239.255.${randomInt(1, 255)}.${randomInt(1, 255)}:${drawPort()}`;
}

/**
 * Waits for a condition, however long a busy machine takes.
 * @param again called at each look, for what has to be repeated since datagrams may be lost
 */
export async function until(condition: () => boolean, again: () => void = () => {}): Promise<void> {
  const deadlineMs = performance.now() + 60_000;
  for (;;) {
    again();
    for (let looks = 0; looks < 10; looks += 1) {
      if (condition()) return;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    if (performance.now() > deadlineMs) throw new Error(`Waited in vain for ${condition}`);
  }
}

/** Sends a text by broadcast until each of the nodes has it. */
export function announce({ transport }: Node, text: string, to: readonly Node[]): Promise<void> {
  return until(
    () => to.every(({ notes }) => notes.find(text) !== undefined),
    () => transport.broadcast(Buffer.from(text)),
  );
}
