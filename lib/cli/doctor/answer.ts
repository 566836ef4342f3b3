/** What a process tells a doctor who asks. */
import type { PaxosNode } from '../../node/node.js';

export const TOPIC = '~doctor';

/** Bytes that may be asked for: enough to go over a connection. */
export const MAX_REPLY = 200_000;

export interface DoctorQuestion {
  /** Bytes that the answer is to have beside what it says. */
  readonly reply: number;
  readonly padding: Uint8Array;
}

export interface DoctorAnswer {
  readonly nowMs: number;
  readonly receiveBufferSize: number;
  readonly padding: Uint8Array;
}

/** Has the node answer doctors, until it is closed. */
export function answerDoctors(node: PaxosNode): void {
  node.answer(TOPIC, (question): DoctorAnswer => {
    const reply = Number((question as Partial<DoctorQuestion> | null)?.reply);
    return {
      nowMs: Date.now(),
      receiveBufferSize: node.status().network.transport.receiveBufferSize,
      padding: new Uint8Array(reply >= 0 && reply <= MAX_REPLY ? Math.floor(reply) : 0),
    };
  });
}
