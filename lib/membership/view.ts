/** A process that holds a voter slot, by an agreement that is final. */
export interface Holder {
  /** The process's number; see `Ballot.proposer`. */
  readonly process: number;
  /** How often the slot has changed hands, from 1. */
  readonly generation: number;
  /** `host:pid`, for people. */
  readonly name: string;
}

/** How many slots a farm has, and what decides in it, since somebody has changed that. */
export interface Config {
  /** How often it was changed, from 1. */
  readonly version: number;
  /** See `isQuorum`: one size, or the one before and the one after while both decide. */
  readonly sizes: readonly [number] | readonly [number, number];
  /** Slots that there are, at least as many as the greatest size: those beyond it get holders, and do not count yet. */
  readonly slots: number;
  /**
   * Of each slot, the version from which on it has been there without a break; 0: since the formation. Its holders of
   * before that are none any more.
   */
  readonly since: readonly number[];
}

/** Who votes: the slots of one formation of the farm, as one process knows them. */
export interface View {
  /** Random number of this formation of the farm, drawn when it formed; 1..2⁴⁸−1. */
  readonly incarnation: number;
  /** Wall-clock ms at which it formed. Of two that meet, the older stays. */
  readonly formedAtMs: number;
  /** One entry a slot, slot 1 first; `null` where nobody has held it yet. */
  readonly holders: readonly (Holder | null)[];
  /** Left out while the farm has the size that it was formed with. */
  readonly config?: Config;
}

/** What decides in that view. */
export function configOf({ holders, config }: View): Config {
  return config ?? { version: 0, sizes: [holders.length], slots: holders.length, since: holders.map(() => 0) };
}

/** Whether `a` stays when the two meet. */
export function isOlder(a: View, b: View): boolean {
  return (a.formedAtMs - b.formedAtMs || a.incarnation - b.incarnation) < 0;
}

/**
 * What two processes of one formation know of it, together: the newest config, and of each slot that is in it the newest
 * generation. For as long as a slot is there it only gains holders, so the result does not depend on who learns what
 * first.
 *
 * Of a slot that was given up, and has come back, the holders of before don't count: whoever held it, and has missed that,
 * has not the memory that goes with it now.
 */
export function mergeViews(a: View, b: View): View {
  const [versionOfA, versionOfB] = [configOf(a).version, configOf(b).version];
  const [older, newer] = versionOfB > versionOfA ? [a, b] : [b, a];
  const { slots, since } = configOf(newer);
  const versionOfOlder = Math.min(versionOfA, versionOfB);
  const holders = Array.from({ length: slots }, (_, index) => {
    const held = newer.holders[index] ?? null;
    if ((since[index] ?? 0) > versionOfOlder) return held;
    const known = older.holders[index] ?? null;
    return (known?.generation ?? 0) > (held?.generation ?? 0) ? known : held;
  });
  const isSame = newer === a && holders.every((holder, index) => holder === a.holders[index]);
  return isSame ? a : { ...newer, holders };
}

/** What is known once the step that follows a view's config has been agreed on; `null` if that is a later one. */
export function stepView(view: View, config: Config): View | null {
  if (config.version !== configOf(view).version + 1) return null;
  return { ...view, config, holders: Array.from({ length: config.slots }, (_, index) => view.holders[index] ?? null) };
}

/**
 * Names the view: 48 bits of a hash of its formation, its config and the holders of its slots. Two processes whose vectors
 * are the same know the same newest generation of each slot (Michael, Ports, Sharma, Szekeres, *Recovering Shared Objects
 * Without Stable Storage*, section 4: a crash vector), and the same quorums.
 */
export function vectorOf({ incarnation, holders, config }: View): number {
  const generations = holders.map((holder) => holder && [holder.process, holder.generation]);
  const known = [incarnation, generations];
  const text = JSON.stringify(config === undefined ? known : [...known, config.version, config.slots, config.sizes]);
  // Two lanes, each stirred after every unit, so that what coincides in one does not in the other.
  let high = 0x9e3779b9;
  let low = 0x85ebca6b;
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i);
    high = stir(Math.imul(high ^ unit, 0x01000193));
    low = stir(Math.imul(low ^ unit, 0x5bd1e995) + i);
  }
  // 0 stands for no view.
  return (high >>> 16) * 2 ** 32 + (low >>> 0) || 1;
}

function stir(hash: number): number {
  return Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
}

/** Slot that the process holds, from 1; 0 if none. */
export function slotOf(view: View | null, process: number): number {
  return view === null ? 0 : view.holders.findIndex((holder) => holder?.process === process) + 1;
}
