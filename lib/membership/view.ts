/** A process that holds a voter slot. */
export interface Holder {
  /** The process's number; see `Ballot.proposer`. */
  readonly process: number;
  /** How often the slot has changed hands, from 1. */
  readonly generation: number;
  /** `host:pid`, for people. */
  readonly name: string;
}

/** Who votes: the slots of one formation of the farm, as one process knows them. */
export interface View {
  /** Random number of this formation of the farm, drawn when it formed; 1..2⁴⁸−1. */
  readonly incarnation: number;
  /** Wall-clock ms at which it formed. Of two that meet, the older stays. */
  readonly formedAtMs: number;
  /** One entry a slot, slot 1 first; `null` where nobody has held it yet. Its length is the cluster size N. */
  readonly holders: readonly (Holder | null)[];
}
