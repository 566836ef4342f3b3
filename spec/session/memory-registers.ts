import { EventEmitter } from 'node:events';
import { NoQuorumError, OutcomeUnknownError } from '../../lib/errors.js';
import type { CommitEvent, OperationOptions, Registers, TimeLeft } from '../../lib/node/registers.js';
import type { NodeStatus } from '../../lib/node/status.js';
import {
  ABSENT,
  type Ballot,
  type Change,
  type Changed,
  type Decision,
  NO_BYTES,
  type OperationId,
  type State,
} from '../../lib/paxos/index.js';
import type { SessionNode } from '../../lib/session/index.js';

/** How an operation is to fail. `lost`: outcome unknown, and it never takes effect; `landed`: unknown, and it did. */
export type Fault = 'no-quorum' | 'lost' | 'landed';

interface Register {
  readonly state: State;
  readonly lineage: readonly OperationId[];
}

/** What a test looks at: an operation as a node was asked for it, in the order in which they took effect. */
export interface Performed {
  readonly node: number;
  readonly kind: 'read' | 'change' | 'ids';
  readonly key: string;
  /** Whether it changed the register's bytes. */
  readonly wroteData: boolean;
}

/** The registers that all nodes of a farm share, held in one process. Time is `Date`'s, so a test can move it. */
export class MemoryFarm {
  readonly performed: Performed[] = [];
  readonly watchers: { bucket: string; node: number; listener: (event: CommitEvent) => void }[] = [];
  /** Whether operations that follow each other share a ballot, as those combined in one round do. */
  isCombining = false;
  #registers = new Map<string, Register>();
  #round = 1;
  #operations = 0;
  #nodes = 0;

  node(): MemoryNode {
    this.#nodes += 1;
    return new MemoryNode(this, this.#nodes);
  }

  /** By how much its clock is ahead of the machine's. */
  aheadMs = 0;

  nowMs(): number {
    return Date.now() + this.aheadMs;
  }

  /** As after a time in which operations are looked for no more. */
  forgetLineages(): void {
    for (const [key, { state }] of this.#registers) this.#registers.set(key, { state, lineage: [] });
  }

  read(key: string): State {
    const { state } = this.#registers.get(key) ?? { state: ABSENT };
    if (state.value === null || state.until > this.nowMs()) return state;
    return { ...ABSENT, birth: state.birth, dataBallot: state.dataBallot };
  }

  ids(bucket: string): string[] {
    const keys = [...this.#registers.keys()].filter((key) => key.startsWith(`${bucket}/`));
    return keys.filter((key) => this.read(key).value !== null).map((key) => key.slice(bucket.length + 1));
  }

  nextOperation(node: number): OperationId {
    this.#operations += 1;
    return `${node}.${this.#operations}`;
  }

  nextBallot(node: number): Ballot {
    return { round: this.#round + (this.isCombining ? 0 : 1), proposer: node };
  }

  apply<R>(node: number, key: string, change: Change<R>, operation: OperationId): Changed<R> {
    const before = this.read(key);
    const lineage = this.#registers.get(key)?.lineage ?? [];
    const current = { ...before, nowMs: this.nowMs(), hasSeen: (sought: OperationId) => lineage.includes(sought) };
    // An attempt that came to nothing, as it may happen: a change function must not mind.
    change.apply(current);
    const decision = change.apply(current);
    const ballot = this.nextBallot(node);
    this.#round = ballot.round;
    const state = this.#after(before, change, decision, ballot);
    if (decision.write !== null) this.#registers.set(key, { state, lineage: [...lineage, operation] });
    const wroteData = state.value !== before.value;
    this.performed.push({ node, kind: 'change', key, wroteData });
    if (state !== before) this.#announce(node, key, state, operation);
    return { result: decision.result, state, operation };
  }

  #after<R>(before: State, change: Change<R>, { write }: Decision<R>, ballot: Ballot): State {
    if (write === null) return before;
    if (write.value === null || write.until <= this.nowMs()) {
      if (before.value !== null && !change.mayRemove) throw new Error('removes, and had said that it does not');
      return { ...ABSENT, birth: before.birth, dataBallot: ballot };
    }
    if (write.until > Math.max(change.bound, before.until)) throw new RangeError('until is beyond the bound');
    if (!Number.isSafeInteger(write.until)) throw new RangeError('until is no safe integer');
    const isSame = before.value !== null && Buffer.compare(before.value, write.value) === 0;
    return {
      value: isSame ? before.value : new Uint8Array(write.value),
      attributes: write.attributes.length === 0 ? NO_BYTES : new Uint8Array(write.attributes),
      until: write.until,
      birth: before.value === null ? ballot : before.birth,
      dataBallot: isSame ? before.dataBallot : ballot,
    };
  }

  #announce(node: number, key: string, state: State, operation: OperationId): void {
    const slash = key.indexOf('/');
    for (const watcher of this.watchers) {
      if (watcher.bucket !== key.slice(0, slash)) continue;
      const effect = state.value === null ? 'removed' : 'changed';
      watcher.listener({ id: key.slice(slash + 1), effect, operation, isOwn: watcher.node === node });
    }
  }
}

/** What an operation is given, unless it is told otherwise. */
export const TIMEOUT_MS = 2000;

/** One process's view of a {@link MemoryFarm}, with faults and delays to order. */
export class MemoryNode extends EventEmitter implements Registers, SessionNode {
  /** How the next changes are to fail, first one first. */
  readonly faults: Fault[] = [];
  isClosed = false;
  /** Ms that each change was given, in the order in which they were called. */
  readonly given: (number | undefined)[] = [];
  #held: Promise<void> | null = null;
  #waiting = new Map<string, Promise<unknown>>();

  constructor(
    readonly farm: MemoryFarm,
    readonly number: number,
  ) {
    super();
  }

  /** It has no voters. */
  resize(): Promise<void> {
    return Promise.resolve();
  }

  /** Holds all operations back, those called later included, until the function returned is called. */
  hold(): () => void {
    let release = (): void => {};
    this.#held = new Promise((resolve) => {
      release = () => {
        this.#held = null;
        resolve();
      };
    });
    return release;
  }

  ready(): Promise<void> {
    return Promise.resolve();
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }

  status(): NodeStatus {
    // The store hands on what it gets; what a real node gives has its own specs.
    return { node: this.number } as unknown as NodeStatus;
  }

  aheadOfMachineMs(): number {
    return this.farm.aheadMs;
  }

  deadline(): TimeLeft {
    const endMs = Date.now() + TIMEOUT_MS;
    return {
      get timeoutMs() {
        return Math.max(0, endMs - Date.now());
      },
    };
  }

  nowMs(): number {
    return this.farm.nowMs();
  }

  read(key: string, _options?: OperationOptions): Promise<State> {
    return this.#inOrder(key, () => {
      this.farm.performed.push({ node: this.number, kind: 'read', key, wroteData: false });
      return this.farm.read(key);
    });
  }

  change<R>(key: string, change: Change<R>, { timeoutMs }: OperationOptions = {}): Promise<Changed<R>> {
    this.given.push(timeoutMs);
    return this.#inOrder(key, () => {
      const fault = this.faults.shift();
      if (fault === 'no-quorum') throw new NoQuorumError('too few');
      const operation = this.farm.nextOperation(this.number);
      const since = this.farm.nextBallot(this.number);
      if (fault === 'lost') throw new OutcomeUnknownError('who knows', operation, since);
      const done = this.farm.apply(this.number, key, change, operation);
      if (fault === 'landed') throw new OutcomeUnknownError('who knows', operation, since);
      return done;
    });
  }

  async ids(bucket: string): Promise<string[]> {
    this.farm.performed.push({ node: this.number, kind: 'ids', key: bucket, wroteData: false });
    return this.farm.ids(bucket);
  }

  watch(bucket: string, listener: (event: CommitEvent) => void): () => void {
    const watcher = { bucket, node: this.number, listener };
    this.farm.watchers.push(watcher);
    return () => {
      this.farm.watchers.splice(this.farm.watchers.indexOf(watcher), 1);
    };
  }

  /** One after the other for each key, and never within the call itself. */
  #inOrder<T>(key: string, operation: () => T): Promise<T> {
    const before = this.#waiting.get(key) ?? Promise.resolve();
    const result = before.then(async () => {
      while (this.#held !== null) await this.#held;
      return operation();
    });
    this.#waiting.set(
      key,
      result.catch(() => {}),
    );
    return result;
  }
}
