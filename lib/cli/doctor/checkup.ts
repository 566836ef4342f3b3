/** What can be found out about the way to each of the others. */
import type { Answer } from '../../node/asking.js';
import type { Member } from '../../node/members.js';
import type { PaxosNode } from '../../node/node.js';
import { type DoctorAnswer, type DoctorQuestion, TOPIC } from './answer.js';

/** How often the way there and back is measured. */
const SMALL_QUESTIONS = 5;
const SMALL_MS = 1000;
const LARGE_MS = 2000;
/** Bytes of the largest datagram where nobody says otherwise: the option `transport.maxDatagramSize`. */
export const DEFAULT_DATAGRAM_SIZE = 1400;
/** Parts of the largest payload that are tried, one after the other. */
const STEPS = [1, 0.75, 0.5, 0.25];
/** Bytes in a datagram beside the payload: names, numbers, the seal. An answer has the most, and is to fit by any of them. */
const MOST_BESIDE = 195;
export const LEAST_BESIDE = 140;
/** Goes over a connection, and so does its answer. */
const STREAM_PAYLOAD = 100_000;

/** What was found about one other process. */
export interface Finding {
  readonly name: string;
  readonly process: string;
  readonly host: string;
  readonly address: string;
  readonly slot: number;
  /** Ms there and back, the least of some; `null`: it does not answer at all. */
  readonly roundTripMs: number | null;
  /** Of some questions, those that were answered, 0..1. */
  readonly answered: number;
  /** Bytes of the largest payload tried that got through in a datagram; 0: none did. */
  readonly datagramBytes: number;
  /** Whether the largest one tried did. */
  readonly isWholeDatagram: boolean;
  /** Whether what is too large for a datagram gets there and, where it can be told, back. */
  readonly isStreamOpen: boolean;
  /** Whether it answers doctors, so that the ways back were tried too, and the rest is known: an app's process does not. */
  readonly isTalkative: boolean;
  /** Its clock against this one's, in ms. */
  readonly aheadMs: number | null;
  readonly receiveBufferSize: number | null;
}

interface Reply {
  readonly tookMs: number;
  /** `null` of one that has no handler for doctors. */
  readonly answer: DoctorAnswer | null;
  /** Its clock against this one's, by half of the way. */
  readonly aheadMs: number;
}

/** @param maxDatagramSize bytes of the largest datagram that this process sends */
export async function examine(
  node: PaxosNode,
  member: Member & { readonly address: string },
  maxDatagramSize: number,
): Promise<Finding> {
  const replies: Reply[] = [];
  for (let count = 0; count < SMALL_QUESTIONS; count += 1) {
    const reply = await ask(node, member, 0, SMALL_MS);
    if (reply !== null) replies.push(reply);
    // Of one that has not answered once, no more is expected.
    else if (replies.length === 0 && count > 0) break;
  }
  const best = replies.reduce<Reply | null>((a, b) => (a !== null && a.tookMs <= b.tookMs ? a : b), null);
  const largest = maxDatagramSize - MOST_BESIDE;
  const datagramBytes = best === null ? 0 : await largestDatagram(node, member, largest);
  return {
    name: member.name,
    process: member.process,
    host: member.host,
    address: member.address,
    slot: member.slot,
    roundTripMs: best?.tookMs ?? null,
    answered: replies.length / SMALL_QUESTIONS,
    datagramBytes,
    isWholeDatagram: datagramBytes === largest,
    isStreamOpen: best !== null && (await ask(node, member, STREAM_PAYLOAD, LARGE_MS)) !== null,
    isTalkative: best?.answer != null,
    aheadMs: best?.answer == null ? null : Math.round(best.aheadMs),
    receiveBufferSize: best?.answer?.receiveBufferSize ?? null,
  };
}

async function largestDatagram(node: PaxosNode, member: Member, largest: number): Promise<number> {
  for (const step of STEPS) {
    const bytes = Math.floor(step * largest);
    if ((await ask(node, member, bytes, LARGE_MS)) !== null) return bytes;
  }
  return 0;
}

/** @returns `null` if it has not answered */
async function ask(node: PaxosNode, { process }: Member, bytes: number, timeoutMs: number): Promise<Reply | null> {
  const question: DoctorQuestion = { reply: bytes, padding: new Uint8Array(bytes) };
  const startMs = performance.now();
  const wallMs = Date.now();
  const [said] = await node.ask<DoctorAnswer>(TOPIC, question, { to: process, timeoutMs });
  const tookMs = performance.now() - startMs;
  if (said === undefined || !isAnswered(said)) return null;
  const answer = said.value ?? null;
  return { tookMs, answer, aheadMs: answer === null ? 0 : answer.nowMs - (wallMs + tookMs / 2) };
}

/** One without a handler has heard the question, and was heard. */
function isAnswered({ error }: Answer): boolean {
  return error === undefined || error.code === 'ERR_NO_HANDLER';
}
