import { inspect } from 'node:util';
import {
  ConfigError,
  HandlerFailedError,
  NoAnswerError,
  NoHandlerError,
  OverloadedError,
  type PaxosError,
  ValueTooLargeError,
} from '../errors.js';
import { Retransmission } from '../paxos/index.js';
import { type Ask, decodeValue, encodeValue, LIMITS, type Told } from '../wire/index.js';
import type { Result } from './answering.js';
import { type Member, type Members, nameOf, strangerOf } from './members.js';

export interface AskOptions {
  /** Whom to ask: those who hold the voters' slots, all members, or one process by its `Member.process`. Default `'voters'`. */
  readonly to?: 'voters' | 'all' | (string & {});
  /** Ms until those who have not answered count as not answering; the node's `timeout` unless set. */
  readonly timeoutMs?: number;
}

/** What one process said. */
export type Answer<T = unknown> =
  | { readonly member: Member; readonly value: T; readonly error?: never }
  /**
   * `NoHandlerError`, `NoAnswerError`, `HandlerFailedError`, or `OverloadedError`: it has 1024 questions to answer, or
   * answers to remember.
   */
  | { readonly member: Member; readonly value?: never; readonly error: PaxosError };

export interface AskingContext {
  readonly process: number;
  readonly maxValueSize: number;
  readonly members: Members;
  monotonicMs(): number;
  /** Whether the farm is found: before, nobody knows who is in it. */
  isFound(): boolean;
  /** Why there is none. */
  noFarm(): PaxosError;
  /** Ms after which an answer is late. */
  retransmitMs(process: number): number;
  /** The process that goes by that number; `null` while nothing has come from it. */
  locate(number: number): number | null;
  /** Ms since it has said good-bye; `null`: it has not. */
  leftMs(process: number): number | null;
  send(to: number, ask: Ask): void;
  askOwn(topic: string, payload: Uint8Array, deliver: (result: Result) => void): void;
}

interface Target {
  /** It may turn out to go by another number. */
  process: number;
  member: Member;
  readonly retransmission: Retransmission;
  isSent: boolean;
  /** Whether it has said that it has the question. */
  isTaken: boolean;
  answer: Answer | null;
}

interface Question {
  readonly request: number;
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly to: 'voters' | 'all' | number;
  readonly timeoutMs: number;
  readonly deadlineMs: number;
  /** `null` until the farm is found. */
  targets: readonly Target[] | null;
  /** Targets without an answer. */
  left: number;
  readonly resolve: (answers: Answer[]) => void;
  readonly reject: (error: PaxosError) => void;
}

/** Questions under way at most. */
const MAX_ASKS = 1024;
/** The answers of one that has left may be read after its good-bye. */
const FAREWELL_MS = 100;
/** What is larger goes over a connection mostly: nothing is lost there, and it takes its time. */
const LARGE_BYTES = 1024;
const LARGE_MS = 200;
const BYTES_A_MS = 10_000;

/**
 * Questions of the application to other processes: each is sent to each process by itself, and again to those who have not
 * answered, until its time is up. One who says that it has the question is only reminded of it, without its payload.
 */
export class Asking {
  readonly #context: AskingContext;
  /** In the order in which they were asked. */
  readonly #questions = new Map<number, Question>();
  #request = 0;

  constructor(context: AskingContext) {
    this.#context = context;
  }

  get isBusy(): boolean {
    return this.#questions.size > 0;
  }

  /** @throws ConfigError, ValueTooLargeError, OverloadedError */
  ask(topic: string, payload: unknown, to: unknown, timeoutMs: number): Promise<Answer[]> {
    checkTopic(topic);
    const whom = checkedTo(to);
    const bytes = this.#encode(payload);
    if (this.#questions.size >= MAX_ASKS) {
      throw new OverloadedError(`${MAX_ASKS} questions are under way at this process: wait until some are answered.`);
    }
    this.#request += 1;
    const request = this.#request;
    const deadlineMs = this.#context.monotonicMs() + timeoutMs;
    return new Promise((resolve, reject) => {
      const what = { request, topic, payload: bytes, to: whom };
      const question: Question = { ...what, timeoutMs, deadlineMs, targets: null, left: 0, resolve, reject };
      this.#questions.set(request, question);
      this.#step(question);
    });
  }

  receive(from: number, { request, outcome, value, text }: Told): void {
    const question = this.#questions.get(request);
    const target = question?.targets?.find(({ process }) => process === from);
    if (question === undefined || target === undefined || target.answer !== null) return;
    if (outcome === 'running') target.isTaken = true;
    else this.#answered(question, target, { outcome, value, text });
  }

  tick(): void {
    for (const question of this.#questions.values()) this.#step(question);
  }

  /** Fails all that is under way. */
  abort(error: PaxosError): void {
    const questions = [...this.#questions.values()];
    this.#questions.clear();
    for (const { reject } of questions) reject(error);
  }

  #encode(payload: unknown): Uint8Array {
    const bytes = encoded(payload);
    const { maxValueSize } = this.#context;
    if (bytes.length <= maxValueSize) return bytes;
    throw new ValueTooLargeError(
      `The question has ${bytes.length} bytes; option maxValueSize allows ${maxValueSize}: raise it in all processes, or ask for less.`,
    );
  }

  #step(question: Question): void {
    const nowMs = this.#context.monotonicMs();
    const isOver = nowMs >= question.deadlineMs;
    if (question.targets === null) {
      if (typeof question.to === 'string' && !this.#context.isFound()) {
        if (isOver && this.#questions.delete(question.request)) question.reject(this.#context.noFarm());
        return;
      }
      question.targets = this.#targetsOf(question);
      question.left = question.targets.length;
      if (question.left === 0) this.#finish(question);
    }
    for (const target of question.targets) {
      if (target.answer !== null) continue;
      const hasLeft = (this.#context.leftMs(target.process) ?? 0) > FAREWELL_MS;
      if (hasLeft) this.#miss(question, target, 'has said good-bye, without an answer');
      else if (isOver) this.#miss(question, target, null);
      else if (target.process !== this.#context.process) this.#send(question, target, nowMs);
    }
  }

  #targetsOf({ to, topic, payload, request }: Question): Target[] {
    const { members, process } = this.#context;
    const asked =
      typeof to === 'number'
        ? [members.get(to) ?? strangerOf(to)]
        : members.list().filter(({ slot }) => to === 'all' || slot > 0);
    return asked.map((member) => {
      const number = Number.parseInt(member.process, 36);
      if (number === process) {
        this.#context.askOwn(topic, payload, (result) => this.#own(request, result));
      }
      const lateMs = Math.max(this.#context.retransmitMs(number), transferMs(payload));
      const retransmission = new Retransmission(lateMs);
      return { process: number, member, retransmission, isSent: false, isTaken: false, answer: null };
    });
  }

  #own(request: number, result: Result): void {
    const question = this.#questions.get(request);
    const target = question?.targets?.find(({ process }) => process === this.#context.process);
    if (question !== undefined && target?.answer === null) this.#answered(question, target, result);
  }

  #send(question: Question, target: Target, nowMs: number): void {
    const { request, topic, payload } = question;
    const { retransmission } = target;
    if (target.isSent && nowMs < retransmission.wakeAtMs) return;
    const process = this.#context.locate(target.process);
    // It has yet to be heard for the first time.
    if (process === null) return;
    // Of one that goes on with its memory nobody knows whether it has answered.
    if (target.isSent && process !== target.process) {
      this.#miss(question, target, 'has ended, without an answer');
      return;
    }
    target.process = process;
    if (target.isSent) retransmission.again(nowMs);
    else retransmission.first(nowMs);
    target.isSent = true;
    const [floor = request] = this.#questions.keys();
    this.#context.send(process, { type: 'ask', request, floor, topic, payload: target.isTaken ? null : payload });
  }

  #answered(question: Question, target: Target, result: Result): void {
    const member = this.#context.members.get(target.process) ?? target.member;
    this.#settle(question, target, answerOf(question, member, result));
  }

  /** @param ended what has become of it; `null`: its time is up */
  #miss(question: Question, target: Target, ended: string | null): void {
    const { topic, timeoutMs } = question;
    const member = (ended === null ? this.#context.members.get(target.process) : null) ?? target.member;
    const said = ended ?? `has not answered ${topic} within ${Math.round(timeoutMs)} ms; ${reasonOf(target, member)}`;
    this.#settle(question, target, { member, error: new NoAnswerError(`${nameOf(member)} ${said}.`) });
  }

  #settle(question: Question, target: Target, answer: Answer): void {
    target.answer = answer;
    question.left -= 1;
    if (question.left === 0) this.#finish(question);
  }

  #finish(question: Question): void {
    if (!this.#questions.delete(question.request)) return;
    question.resolve((question.targets ?? []).flatMap((each) => each.answer ?? []));
  }
}

/** @throws ConfigError */
export function checkTopic(topic: unknown): void {
  const isGood = typeof topic === 'string' && topic !== '' && topic.length <= LIMITS.topicLength;
  if (isGood && !/\p{Surrogate}/u.test(topic)) return;
  throw new ConfigError(
    `The topic is ${inspect(topic, { depth: 0 }).slice(0, 100)}; it must be a string of 1 to ${LIMITS.topicLength} characters.`,
  );
}

function checkedTo(to: unknown): 'voters' | 'all' | number {
  if (to === 'voters' || to === 'all') return to;
  const number = typeof to === 'string' && /^[0-9a-z]{1,10}$/.test(to) ? Number.parseInt(to, 36) : 0;
  if (number > 0 && number <= LIMITS.number48) return number;
  throw new ConfigError(
    `Option to got ${inspect(to, { depth: 0 }).slice(0, 100)}; it takes 'voters', 'all' or the process of one of members().`,
  );
}

function encoded(payload: unknown): Uint8Array {
  try {
    return encodeValue(payload);
  } catch (error) {
    throw new ConfigError(`The question can't be sent: ${(error as Error).message}`, { cause: error });
  }
}

/** Ms that it may take until a question has arrived. */
function transferMs({ length }: Uint8Array): number {
  return length <= LARGE_BYTES ? 0 : LARGE_MS + length / BYTES_A_MS;
}

function answerOf({ topic }: Question, member: Member, { outcome, value, text, cause }: Result): Answer {
  const who = nameOf(member);
  switch (outcome) {
    case 'answered':
      try {
        return { member, value: decodeValue(value) };
      } catch (error) {
        const message = `${who} has answered ${topic} with what can't be read: is it another version of this package?`;
        return { member, error: new HandlerFailedError(message, { cause: error }) };
      }
    case 'no handler':
      return { member, error: new NoHandlerError(`${who} has no handler for ${topic}: call answer() there first.`) };
    case 'failed': {
      const message = `The handler of ${topic} failed at ${who}: ${text}`;
      return { member, error: new HandlerFailedError(message, cause === undefined ? {} : { cause }) };
    }
    case 'overloaded': {
      const message = `${who} has too many questions to answer, and did nothing about ${topic}: ask it later.`;
      return { member, error: new OverloadedError(message) };
    }
    case 'closing':
      return { member, error: new NoAnswerError(`${who} is being closed, and did nothing about ${topic}.`) };
    case 'running':
    case 'unknown':
      return { member, error: new NoAnswerError(`${who} has answered ${topic}, and has the answer no more.`) };
  }
}

function reasonOf({ isSent, isTaken }: Target, { isUp, isSelf }: Member): string {
  if (isSelf || isTaken) return 'it has the question: its handler may take longer than option timeoutMs';
  if (!isSent) return 'nothing has been heard of it: it may have ended long ago';
  if (!isUp) return 'it has not been heard either: it may have ended, or the network is cut';
  return 'it is heard: answers may have been lost, or its version may know no questions';
}
