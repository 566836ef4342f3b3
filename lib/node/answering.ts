import debugging from 'debug';
import { ConfigError } from '../errors.js';
import { type Ask, decodeValue, encodeValue, LIMITS, type Told } from '../wire/index.js';
import type { Member } from './members.js';

const debug = debugging('connect-paxos:asking');

/**
 * Answers questions of other processes, and of this one. What it returns, or its promise resolves to, is the answer:
 * anything that may be sent, see {@link encodeValue}. What it throws is the asker's `HandlerFailedError`.
 */
export type AnswerHandler = (payload: unknown, from: Member) => unknown;

export interface AnsweringContext {
  readonly process: number;
  readonly maxValueSize: number;
  /** Ms after which whatever was asked is over for its asker. */
  readonly longestTimeoutMs: number;
  monotonicMs(): number;
  /** `null`: not known, or not by name. */
  member(process: number): Member | null;
  send(to: number, told: Told): void;
}

/** What came of a question. */
export interface Result extends Pick<Told, 'outcome' | 'value' | 'text'> {
  /** What the handler threw. */
  readonly cause?: unknown;
}

interface Asker {
  /** Its questions before this one are over. */
  floor: number;
  readonly questions: Map<number, Question>;
}

interface Question {
  readonly asker: Asker;
  readonly request: number;
  readonly atMs: number;
  /** `null` while the handler runs. */
  told: Told | null;
  /** Whether no handler was called, for there were too many: it must not be called for a question that comes late. */
  readonly isRefused: boolean;
}

/** Handlers running and answers remembered at most, together. */
export const MAX_QUESTIONS = 1024;
/** And with those refused. Beyond it nothing is said. */
const MAX_KNOWN = 4 * MAX_QUESTIONS;
/** Bytes of their questions and answers at most; beyond it the oldest answers go. */
const MAX_BYTES = 64 * 2 ** 20;

const NOTHING = new Uint8Array(0);

/**
 * The other end of `Asking`: runs the application's handlers, once for each question however often it comes, and
 * remembers what they said until the asker has it or waits no more (Birrell and Nelson, *Implementing Remote Procedure
 * Calls*, 1984). Each question says which of its asker's questions are over. What is older than the longest time-out is
 * over too, and so is all that its asker had asked before it.
 */
export class Answering {
  readonly #context: AnsweringContext;
  readonly #handlers = new Map<string, AnswerHandler>();
  readonly #askers = new Map<number, Asker>();
  /** In the order in which they came. */
  readonly #questions = new Set<Question>();
  #running = 0;
  #runningBytes = 0;
  /** Answers, and their bytes. */
  #remembered = 0;
  #rememberedBytes = 0;
  #isClosing = false;

  constructor(context: AnsweringContext) {
    this.#context = context;
  }

  /** Whether handlers run. */
  get isBusy(): boolean {
    return this.#running > 0;
  }

  /** @returns takes the handler away again */
  handle(topic: string, handler: AnswerHandler): () => void {
    if (typeof handler !== 'function') throw new ConfigError(`The handler of topic ${topic} must be a function.`);
    if (this.#handlers.has(topic)) {
      throw new ConfigError(`Topic ${topic} has a handler already: call the function that answer() gave for it first.`);
    }
    this.#handlers.set(topic, handler);
    return () => {
      if (this.#handlers.get(topic) === handler) this.#handlers.delete(topic);
    };
  }

  /** A question came, for the first time or again. */
  receive(from: number, { request, floor, topic, payload }: Ask): void {
    const member = this.#context.member(from);
    // It comes again, and by then who asks will have said who it is.
    if (member === null) return;
    const asker = this.#askers.get(from) ?? { floor: 1, questions: new Map() };
    this.#askers.set(from, asker);
    this.#forgetBefore(asker, floor);
    if (request < asker.floor) return;
    const question = asker.questions.get(request);
    if (question !== undefined) {
      this.#context.send(from, question.told ?? tell(request, emptyOf('running')));
      return;
    }
    if (payload === null) this.#context.send(from, tell(request, emptyOf('unknown')));
    else if (this.#isClosing) this.#context.send(from, tell(request, emptyOf('closing')));
    else if (this.#questions.size < MAX_KNOWN) this.#take(from, asker, request, topic, payload, member);
  }

  /** A question of this process to itself. @param deliver called once, later */
  askOwn(topic: string, payload: Uint8Array, deliver: (result: Result) => void): void {
    const self = this.#context.member(this.#context.process);
    if (self !== null && !this.#isFull(payload)) void this.#run(topic, payload, self).then(deliver);
    else queueMicrotask(() => deliver(emptyOf('overloaded')));
  }

  /** Forgets what is over for its asker, by the time that has passed. */
  sweep(): void {
    const overMs = this.#context.monotonicMs() - this.#context.longestTimeoutMs;
    for (const { asker, request, atMs } of this.#questions) {
      if (atMs > overMs) return;
      this.#forgetBefore(asker, request + 1);
    }
  }

  /** Nothing is known any more of that process. */
  forget(process: number): void {
    const asker = this.#askers.get(process);
    if (asker === undefined) return;
    this.#askers.delete(process);
    this.#forgetBefore(asker, Number.POSITIVE_INFINITY);
  }

  /** No handler is called from now on; those that run may end. */
  close(): void {
    this.#isClosing = true;
  }

  #isFull(payload: Uint8Array): boolean {
    if (this.#running + this.#remembered >= MAX_QUESTIONS) return true;
    return this.#runningBytes + payload.length > MAX_BYTES;
  }

  #take(from: number, asker: Asker, request: number, topic: string, payload: Uint8Array, member: Member): void {
    const isRefused = this.#isFull(payload);
    const told = isRefused ? tell(request, emptyOf('overloaded')) : null;
    const question: Question = { asker, request, atMs: this.#context.monotonicMs(), told, isRefused };
    asker.questions.set(request, question);
    this.#questions.add(question);
    if (told !== null) {
      this.#context.send(from, told);
      return;
    }
    void this.#run(topic, payload, member).then((result) => {
      // Its asker waits no more.
      if (asker.questions.get(request) !== question) return;
      question.told = tell(request, result);
      this.#remembered += 1;
      this.#rememberedBytes += result.value.length;
      this.#makeRoom();
      this.#context.send(from, question.told);
    });
  }

  /** Never rejects. */
  async #run(topic: string, payload: Uint8Array, from: Member): Promise<Result> {
    const handler = this.#handlers.get(topic);
    this.#running += 1;
    this.#runningBytes += payload.length;
    // Not from within the step that received it.
    await Promise.resolve();
    const result: Result =
      handler === undefined
        ? emptyOf('no handler')
        : await resultOf(handler, payload, from, this.#context.maxValueSize);
    this.#running -= 1;
    this.#runningBytes -= payload.length;
    if (result.outcome === 'failed') debug('the handler of %s failed, asked by %s: %O', topic, from.name, result.cause);
    return result;
  }

  /** The oldest answers are the likeliest to have arrived. */
  #makeRoom(): void {
    for (const question of this.#questions) {
      if (this.#rememberedBytes <= MAX_BYTES) return;
      if (question.told === null || question.told.value.length === 0) continue;
      this.#rememberedBytes -= question.told.value.length;
      question.told = tell(question.request, emptyOf('unknown'));
    }
  }

  #forgetBefore(asker: Asker, floor: number): void {
    if (floor <= asker.floor) return;
    asker.floor = floor;
    for (const [request, question] of asker.questions) {
      if (request >= floor) continue;
      asker.questions.delete(request);
      this.#questions.delete(question);
      if (question.told === null || question.isRefused) continue;
      this.#remembered -= 1;
      this.#rememberedBytes -= question.told.value.length;
    }
  }
}

async function resultOf(handler: AnswerHandler, payload: Uint8Array, from: Member, maxSize: number): Promise<Result> {
  try {
    const value = encodeValue(await handler(decodeValue(payload), from));
    if (value.length <= maxSize) return { outcome: 'answered', value, text: '' };
    return failed(new RangeError(`its answer has ${value.length} bytes; option maxValueSize allows ${maxSize}`));
  } catch (error) {
    return failed(error);
  }
}

function emptyOf(outcome: Told['outcome']): Result {
  return { outcome, value: NOTHING, text: '' };
}

function failed(cause: unknown): Result {
  return { outcome: 'failed', value: NOTHING, text: textOf(cause), cause };
}

function tell(request: number, { outcome, value, text }: Pick<Told, 'outcome' | 'value' | 'text'>): Told {
  return { type: 'told', request, outcome, value, text };
}

/** As far as it may be sent. Whatever was thrown; it may even throw when it is looked at. */
function textOf(thrown: unknown): string {
  try {
    const text = String(thrown instanceof Error ? thrown.message || thrown.name : thrown);
    // Half a surrogate pair becomes another character; so does a character cut in half.
    const bytes = Buffer.from(text).subarray(0, LIMITS.failureLength);
    return bytes.toString().replace(/\ufffd+$/u, '');
  } catch {
    return 'of something that can not be shown';
  }
}
