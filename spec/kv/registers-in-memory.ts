import type { Consistency, OperationOptions, Registers, TimeLeft } from '../../lib/node/registers.js';
import {
  ABSENT,
  type Change,
  type Changed,
  evaluate,
  type Instant,
  NO_BALLOT,
  type Proposal,
  type State,
} from '../../lib/paxos/index.js';

/** Registers of one process, evaluated as acceptors' are. What others do between two steps is put in by hooks. */
export class RegistersInMemory implements Registers {
  wallMs = 1_000_000;
  /** Called before each change takes effect. */
  onChange: (key: string) => Promise<unknown> | undefined = () => undefined;
  /** What the process's own memory has, where it is behind. */
  readonly stale = new Map<string, State>();
  readonly #held = new Map<string, Proposal>();
  #round = 0;

  async read(
    key: string,
    { consistency }: OperationOptions & { readonly consistency?: Consistency } = {},
  ): Promise<State> {
    const stale = consistency === 'local' ? this.stale.get(key) : undefined;
    return (
      stale ??
      this.#apply(key, { bound: 0, mayRemove: false, seals: false, apply: () => ({ write: null, result: 0 }) }).state
    );
  }

  async change<R>(key: string, change: Change<R>): Promise<Changed<R>> {
    await this.onChange(key);
    return this.#apply(key, change);
  }

  async ids(): Promise<string[]> {
    return [];
  }

  watch(): () => void {
    return () => undefined;
  }

  deadline(): TimeLeft {
    return { timeoutMs: 60_000 };
  }

  nowMs(): number {
    return this.wallMs;
  }

  aheadOfMachineMs(): number {
    return 0;
  }

  #apply<R>(key: string, change: Change<R>): Changed<R> {
    this.#round += 1;
    const ballot = { round: this.#round, proposer: 1 };
    const now: Instant = { monotonicMs: 0, wallMs: this.wallMs, isTrusted: true };
    const { results, state, isWrite } = evaluate(this.#held.get(key) ?? null, [change], ballot, now);
    const operation = `op${this.#round}`;
    if (isWrite) this.#held.set(key, { ...state, accepted: ballot, operation, lineage: [], lineageFrom: NO_BALLOT });
    const [result] = results;
    if (result?.kind !== 'decided') throw result?.error ?? new Error('nothing was decided');
    // The only caller of that change: what it gave is its own.
    return { result: result.result as R, state: result.state ?? ABSENT, operation };
  }
}
