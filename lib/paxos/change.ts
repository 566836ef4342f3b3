import type { Ballot } from './ballot.js';
import type { OperationId, State } from './record.js';

/** What a change function is given: the register as it is when the operation takes effect. */
export interface Current extends State {
  /** Wall-clock ms by which `value` was found visible or not. */
  readonly nowMs: number;
  /** Whether the operation is among the latest that led to this state. */
  hasSeen(operation: OperationId): boolean;
}

/** What a register is to hold. */
export interface Write {
  /** `null` destroys. The bytes are not to be altered afterwards. */
  readonly value: Uint8Array | null;
  /** See {@link State.attributes}; those of `value: null` are dropped. */
  readonly attributes: Uint8Array;
  /**
   * Whole ms since 1970, not beyond {@link Change.bound} or the `until` that is there; `FOREVER` for no end. One that is
   * over, by a clock that is trusted, destroys.
   */
  readonly until: number;
  /** Whether it counts as a write of data, in {@link State.dataBallot}, though the bytes are those that are there. Default `false`. */
  readonly isData?: boolean;
  /**
   * Of what is copied from another farm: the life that it belongs to, and its place in that life's order. Else the
   * operation's own ballot is both, as the rules of {@link State} have it.
   */
  readonly copied?: { readonly birth: Ballot; readonly dataBallot: Ballot };
}

/** What a change function decides. */
export interface Decision<R> {
  /** `null` leaves the register as it is. */
  readonly write: Write | null;
  /** Handed to the caller once the decision is chosen: that of the run which took effect. */
  readonly result: R;
}

/**
 * An operation on a register: a function from its current state to the next (Rystsov, *CASPaxos*, section 2.2).
 * It may be run several times, for attempts that came to nothing, so it must not have effects of its own.
 */
export interface Change<R> {
  /**
   * Latest `until` that the operation may write, in whole ms since 1970; fixed when it is called. An `until` that it
   * finds and keeps may be later.
   */
  readonly bound: number;
  /** Whether it may turn a present value into an absent one; if not known, `true`. */
  readonly mayRemove: boolean;
  /**
   * Whether it must leave a tombstone even where no value is found, so that a write still on its way, of whose fate
   * nobody was told, cannot appear after it.
   */
  readonly seals: boolean;
  /** Sizes of which it takes a majority too, beside those of the electorate; see `isQuorum`. */
  readonly also?: readonly number[];
  /**
   * Decides. Synchronous, and a function of what it is given alone. What it throws reaches the caller; the register stays
   * as it is. (A write that breaks the rules of {@link Write} counts as a `RangeError` thrown.)
   */
  apply(current: Current): Decision<R>;
}

/** How an operation ended when it took effect. */
export interface Changed<R> {
  readonly result: R;
  /** The register right after this operation. */
  readonly state: State;
  readonly operation: OperationId;
}
