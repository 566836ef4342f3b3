/** The time at which a step is taken. */
export interface MembershipInstant {
  readonly monotonicMs: number;
  readonly wallMs: number;
}
