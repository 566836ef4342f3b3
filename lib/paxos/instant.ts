/** The time at which a step of the core happens. The core reads no clock: whoever calls it says what time it is. */
export interface Instant {
  /** Ms that only rise, at the pace of real time; their origin means nothing. For time-outs and minimum waits. */
  readonly monotonicMs: number;
  /** Ms since 1970, of the guarded clock. For ballots and expiry. */
  readonly wallMs: number;
  /**
   * Whether a majority's clocks agree with `wallMs`. While they don't, nothing is forgotten and nothing counts as
   * expired for a write: one forward step of a day must not end live sessions.
   */
  readonly isTrusted: boolean;
}
