import { expect } from '@jest/globals';
import {
  ClosedError,
  HandlerFailedError,
  NoHandlerError,
  NoQuorumError,
  type PaxosErrorCode,
} from '../../lib/errors.js';
import type { KvNode } from '../../lib/kv/index.js';
import { PaxosKV } from '../../lib/kv/index.js';
import type { AnswerHandler } from '../../lib/node/answering.js';
import type { Answer, AskOptions } from '../../lib/node/asking.js';
import type { Member } from '../../lib/node/members.js';
import type { Consistency, Head, OperationOptions, OwnState, TimeLeft } from '../../lib/node/registers.js';
import type { NodeStatus } from '../../lib/node/status.js';
import { type Change, type Changed, formatBallot, type State, shardOf } from '../../lib/paxos/index.js';
import { decodeValue, encodeValue } from '../../lib/wire/index.js';
import { MemoryFarm, MemoryNode } from '../session/memory-registers.js';

/** An operation that a node was asked for, before it is done. */
export interface Asked {
  readonly kind: 'read' | 'change';
  readonly key: string;
  /** Latest end that a change may write; `null` for a read. */
  readonly bound: number | null;
  readonly consistency: Consistency;
  readonly timeoutMs: number | undefined;
}

/** A {@link MemoryFarm} whose nodes key-value stores can live on. */
export class KvFarm extends MemoryFarm {
  readonly nodes: KvMemoryNode[] = [];

  override node(): KvMemoryNode {
    const node = new KvMemoryNode(this, this.nodes.length + 1);
    this.nodes.push(node);
    return node;
  }

  /** A store on a node of its own. */
  store(bucket?: string): { readonly kv: PaxosKV; readonly node: KvMemoryNode } {
    const node = this.node();
    return { kv: new PaxosKV(bucket === undefined ? { node } : { node, bucket }), node };
  }
}

/** A process's view of a {@link KvFarm}, which a test can stop at any operation. */
export class KvMemoryNode extends MemoryNode implements KvNode {
  readonly size = 3;
  /** What a call is given that says nothing of it: of real time, of which a busy machine takes a lot. */
  defaultMs = 60_000;
  /** All that it was asked for. */
  readonly asked: Asked[] = [];
  /** What its own memory has, where that is not what the farm has. */
  readonly stale = new Map<string, State>();
  /** Waited for before each operation; to be set by a test. */
  gate: (operation: Asked) => unknown = () => undefined;
  /** Number of a process before it, whose memory it votes with; `null` if it does not. */
  votesAs: string | null = null;
  readonly #kvFarm: KvFarm;
  readonly #handlers = new Map<string, AnswerHandler>();
  readonly #lastSteps = new Set<() => Promise<void>>();

  constructor(farm: KvFarm, number: number) {
    super(farm, number);
    this.#kvFarm = farm;
  }

  get process(): string {
    return `p${this.number}`;
  }

  override status(): NodeStatus {
    const voters = this.votesAs === null ? [] : [{ isSelf: true, process: this.votesAs }];
    return { process: this.process, name: `node-${this.number}`, voters } as unknown as NodeStatus;
  }

  override deadline(timeoutMs: number = this.defaultMs): TimeLeft {
    const endMs = performance.now() + timeoutMs;
    return {
      get timeoutMs() {
        return Math.max(0, endMs - performance.now());
      },
    };
  }

  override async read(
    key: string,
    { consistency = 'quorum', timeoutMs }: OperationOptions & { readonly consistency?: Consistency } = {},
  ): Promise<State> {
    const stale = this.stale.get(key);
    await this.#enter({ kind: 'read', key, bound: null, consistency, timeoutMs });
    return consistency === 'local' && stale !== undefined ? stale : super.read(key);
  }

  override async change<R>(key: string, change: Change<R>, options: OperationOptions = {}): Promise<Changed<R>> {
    const { timeoutMs } = options;
    await this.#enter({ kind: 'change', key, bound: change.bound, consistency: 'quorum', timeoutMs });
    return super.change(key, change, options);
  }

  async heads(bucket: string): Promise<Head[]> {
    return this.#states(bucket).map(({ id, ...state }) => ({ id, mark: formatBallot(state.dataBallot) }));
  }

  /** Of other buckets than those asked for, so many. */
  othersHeld = 0;

  get ownRecords(): number {
    return this.othersHeld;
  }

  owns = 0;

  own(bucket: string, shard: number): OwnState[] {
    this.owns += 1;
    return this.#states(bucket).filter(({ id }) => shardOf(`${bucket}/${id}`) === shard);
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  }

  members(): Member[] {
    return [];
  }

  async ask<T = unknown>(topic: string, payload?: unknown, { to }: AskOptions = {}): Promise<Answer<T>[]> {
    const asked = this.#kvFarm.nodes.find(
      (node) => [node.process, node.votesAs].includes(String(to)) && !node.isClosed,
    );
    if (asked === undefined) return [];
    const member = { process: asked.process } as unknown as Member;
    return [(await asked.#answer(topic, payload, member)) as Answer<T>];
  }

  answer(topic: string, handler: AnswerHandler): () => void {
    if (this.#handlers.has(topic)) throw new Error(`${topic} has a handler`);
    this.#handlers.set(topic, handler);
    return () => this.#handlers.delete(topic);
  }

  beforeClose(step: () => Promise<void>): () => void {
    this.#lastSteps.add(step);
    return () => this.#lastSteps.delete(step);
  }

  get steps(): number {
    return this.#lastSteps.size;
  }

  override async close(): Promise<void> {
    while (this.#lastSteps.size > 0) {
      const steps = [...this.#lastSteps];
      this.#lastSteps.clear();
      await Promise.allSettled(steps.map((step) => step()));
    }
    await super.close();
  }

  async #enter(operation: Asked): Promise<void> {
    this.asked.push(operation);
    if (this.isClosed) throw new ClosedError('The node was closed.');
    await this.gate(operation);
    if (operation.timeoutMs !== undefined && operation.timeoutMs <= 0) throw new NoQuorumError('The time is up.');
  }

  async #answer(topic: string, payload: unknown, member: Member): Promise<unknown> {
    const handler = this.#handlers.get(topic);
    if (handler === undefined) return { member, error: new NoHandlerError('it has no handler') };
    try {
      return { member, value: decodeValue(encodeValue(await handler(payload, member))) };
    } catch (error) {
      return { member, error: new HandlerFailedError(String(error)) };
    }
  }

  #states(bucket: string): OwnState[] {
    return this.farm.ids(bucket).map((id) => ({ ...this.farm.read(`${bucket}/${id}`), id }));
  }
}

/** A place where a test stops an operation, and lets it go on. */
export class Stop {
  readonly reached: Promise<void>;
  go: () => void = () => undefined;
  #reach: () => void = () => undefined;
  readonly #going: Promise<void>;

  /** The first operation of that node, from now on, that it applies to stops here. */
  constructor(node: KvMemoryNode, applies: (operation: Asked) => boolean) {
    this.reached = new Promise((resolve) => {
      this.#reach = resolve;
    });
    this.#going = new Promise((resolve) => {
      this.go = resolve;
    });
    const before = node.gate;
    node.gate = async (operation) => {
      await before(operation);
      if (!applies(operation)) return;
      node.gate = before;
      this.#reach();
      await this.#going;
    };
  }
}

/** What a rejection is expected to be. */
export function withCode(code: PaxosErrorCode, message?: RegExp): object {
  return message === undefined
    ? expect.objectContaining({ code })
    : expect.objectContaining({ code, message: expect.stringMatching(message) });
}
