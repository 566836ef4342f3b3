import type { Conditions } from './conditions.js';
import type { Happening } from './kept.js';
import { kindOf } from './kinds.js';
import { type Choice, type Report, Simulation } from './simulation.js';

/** A part of a run that can be run by itself. */
export interface Candidate {
  readonly seed: number;
  readonly kept: readonly Happening[];
  readonly conditions: Conditions;
  readonly salt: number;
}

export interface ShrinkOptions {
  /** Real time after which nothing more is tried. */
  readonly maxMs: number;
  /** Runs at most. */
  readonly maxTries: number;
  /** Asked before each run; what was found by then stands. */
  readonly isInterrupted?: () => boolean;
  /** Is told how far it has got, now and then. */
  readonly onProgress?: (words: string) => void;
}

export interface Shrunk {
  readonly candidate: Candidate;
  /** What it violates, in words. */
  readonly violation: string;
  readonly kind: string;
  readonly tries: number;
  /** Whether nothing that is left could be left out, rather than the time being up. */
  readonly isMinimal: boolean;
}

/** Conditions that make a run easier to follow, the greatest simplification first. */
const SIMPLER: readonly Conditions[] = [
  { calmStart: true },
  { badWeather: false },
  { delays: false },
  { learners: 0 },
  { clusterSize: 3 },
  { restarts: false },
  { isOneLate: false },
  { stallChance: 0 },
  { commitLoss: 0 },
  { deafness: 0 },
  { minorityAccepts: 0 },
  { exactQuorums: 0 },
  { longDelay: 0 },
  { replay: 0 },
  { corruption: 0 },
  { duplication: 0 },
  { lossOfAnswers: 0 },
  { lossOfBroadcasts: 0 },
  { meanDelayMs: 0.5 },
];

/** Other luck of the network that a candidate is given once nothing else helps any more. */
const SALTS = 4;
const PROGRESS_MS = 2000;

/** As the run of that candidate. */
export function choiceOf({ kept, conditions, salt }: Candidate): Choice {
  return { kept, conditions, salt };
}

/**
 * Finds a small part of a failing run that fails in the same way: by delta debugging (Zeller and Hildebrandt,
 * *Simplifying and Isolating Failure-Inducing Input*, 2002) over its steps and faults, and by simpler conditions.
 *
 * @param whole all that happened in the failing run
 * @returns `null` if the run does not fail when it is stopped at its first violation
 */
export function shrink(whole: Candidate, options: ShrinkOptions): Promise<Shrunk | null> {
  return new Shrinking(options).run(whole);
}

class Shrinking {
  readonly #options: ShrinkOptions;
  readonly #startedMs = performance.now();
  #toldMs = 0;
  #tries = 0;
  #kind = '';
  #violation = '';
  #isHealed = true;
  /** The smallest so far. */
  #best: Candidate = { seed: 0, kept: [], conditions: {}, salt: 0 };

  constructor(options: ShrinkOptions) {
    this.#options = options;
  }

  async run(whole: Candidate): Promise<Shrunk | null> {
    const first = await this.#simulate(whole);
    const [violation] = first.violations;
    if (violation === undefined) return null;
    this.#kind = kindOf(violation);
    this.#isHealed = !first.isBrokenAtWork;
    this.#adopt(whole, first);
    await this.#simplify();
    await this.#minimize([0]);
    await this.#simplify();
    let isMinimal = false;
    while (!this.#isOver && !isMinimal) {
      const before = this.#best.kept.length;
      await this.#minimize(Array.from({ length: SALTS + 1 }, (_, salt) => salt));
      await this.#simplify();
      isMinimal = this.#best.kept.length === before && !this.#isOver;
    }
    await this.#round();
    return {
      candidate: this.#best,
      violation: this.#violation,
      kind: this.#kind,
      tries: this.#tries,
      isMinimal,
    };
  }

  get #isOver(): boolean {
    const { maxMs, maxTries, isInterrupted } = this.#options;
    if (isInterrupted?.() === true) return true;
    return performance.now() - this.#startedMs > maxMs || this.#tries >= maxTries;
  }

  async #simulate({ seed, ...choice }: Candidate): Promise<Report> {
    this.#tries += 1;
    // A chain of ticks lets nothing else run: signals have to get through.
    await new Promise((resolve) => setImmediate(resolve));
    return new Simulation(seed, { ...choice, isHealed: this.#isHealed }).run();
  }

  /** Makes the candidate the smallest so far if it fails in the same way. */
  async #attempt(candidate: Candidate): Promise<boolean> {
    if (this.#isOver) return false;
    const report = await this.#simulate(candidate);
    this.#tell();
    const [violation] = report.violations;
    if (violation === undefined || kindOf(violation) !== this.#kind) return false;
    this.#adopt(candidate, report);
    return true;
  }

  #adopt(candidate: Candidate, { happened, violations }: Report): void {
    const names = new Set(happened.map(({ name }) => name));
    // What would only have come after the violation goes without saying; times stay those that were asked for.
    this.#best = { ...candidate, kept: candidate.kept.filter(({ name }) => names.has(name)) };
    this.#violation = violations[0] ?? '';
  }

  #tell(): void {
    if (performance.now() - this.#toldMs < PROGRESS_MS) return;
    this.#toldMs = performance.now();
    this.#options.onProgress?.(`${this.#best.kept.length} steps and faults left after ${this.#tries} tries`);
  }

  async #simplify(): Promise<void> {
    for (const simpler of SIMPLER) {
      const [name] = Object.keys(simpler);
      const { conditions } = this.#best;
      if (name === undefined || name in conditions) continue;
      await this.#attempt({ ...this.#best, conditions: { ...conditions, ...simpler } });
    }
    // What the other conditions have made idle is not worth saying.
    for (const name of Object.keys(this.#best.conditions)) {
      const { [name as keyof Conditions]: _, ...conditions } = this.#best.conditions;
      if (!(await this.#isSame(conditions))) continue;
      this.#best = { ...this.#best, conditions };
    }
  }

  /** Whether the run is the same to the byte under those conditions. */
  async #isSame(conditions: Conditions): Promise<boolean> {
    if (this.#isOver) return false;
    const hashes = [await this.#simulate(this.#best), await this.#simulate({ ...this.#best, conditions })];
    return hashes[0]?.hash === hashes[1]?.hash;
  }

  /** The algorithm ddmin: parts, then all but a part, of twice as many parts each time that none fails. */
  async #minimize(salts: readonly number[]): Promise<void> {
    let parts = 2;
    while (this.#best.kept.length >= 2 && !this.#isOver) {
      const { kept } = this.#best;
      const size = Math.ceil(kept.length / parts);
      const chunks = Array.from({ length: Math.ceil(kept.length / size) }, (_, index) =>
        kept.slice(index * size, (index + 1) * size),
      );
      const subsets = parts === 2 ? [] : chunks;
      // From the end: what comes late has been caused, what comes early may cause.
      const rests = chunks.map((chunk) => kept.filter((each) => !chunk.includes(each))).reverse();
      if (await this.#any(parts === 2 ? rests : subsets, salts)) parts = 2;
      else if (parts > 2 && (await this.#any(rests, salts))) parts = Math.max(parts - 1, 2);
      else if (size === 1) break;
      else parts = Math.min(2 * parts, kept.length);
    }
    if (this.#best.kept.length === 1) await this.#any([[]], salts);
  }

  async #any(candidates: readonly (readonly Happening[])[], salts: readonly number[]): Promise<boolean> {
    for (const kept of candidates) {
      for (const salt of new Set([this.#best.salt, ...salts])) {
        if (await this.#attempt({ ...this.#best, kept, salt })) return true;
      }
    }
    return false;
  }

  /** Times of as few digits as will do: they are to be read. */
  async #round(): Promise<void> {
    for (const digits of [3, 2, 1, 0]) {
      const kept = this.#best.kept.map(({ name, atMs }) => ({ name, atMs: Number(atMs.toFixed(digits)) }));
      const report = await this.#simulate({ ...this.#best, kept });
      const [violation] = report.violations;
      if (violation === undefined || kindOf(violation) !== this.#kind) return;
      this.#adopt({ ...this.#best, kept }, report);
    }
  }
}
