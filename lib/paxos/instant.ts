/**
 * The time at which a step of the core happens. The core reads no clock: whoever calls it says what time it is, and reads
 * its clocks for each step anew, not once for several that a pause of the process may lie between.
 */
export interface Instant {
  /** Ms that only rise, at the pace of real time; their origin means nothing. For time-outs and minimum waits. */
  readonly monotonicMs: number;
  /**
   * Ms since 1970, of a clock that is less than S (`maxClockSkewMs`) from every other process's while `isTrusted`. For
   * ballots, expiry and forgetting. It may step.
   */
  readonly wallMs: number;
  /**
   * Whether a majority's clocks agree with `wallMs`. While they don't, nothing is forgotten and nothing counts as
   * expired for a write: one forward step of a day must not end live sessions. A round that finds a value whose time is
   * up by such a clock waits.
   */
  readonly isTrusted: boolean;
}
