import { createHash } from 'node:crypto';

/** A stream of random numbers that its seed alone decides: sfc32 (Doty-Humphrey, 2010), seeded by SHA-256. */
export class Random {
  readonly #seed: string;
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: string) {
    this.#seed = seed;
    const digest = createHash('sha256').update(seed).digest();
    this.#a = digest.readInt32LE(0);
    this.#b = digest.readInt32LE(4);
    this.#c = digest.readInt32LE(8);
  }

  /** A stream of its own, so that what one part draws more or less of changes nothing for the others. */
  fork(name: string): Random {
    return new Random(`${this.#seed}/${name}`);
  }

  /** In 0..1, 1 excluded. */
  fraction(): number {
    return this.#word() / 2 ** 32;
  }

  /** In 0..below−1. */
  integer(below: number): number {
    return Math.floor(this.fraction() * below);
  }

  between(least: number, most: number): number {
    return least + this.fraction() * (most - least);
  }

  chance(probability: number): boolean {
    // Nothing is drawn where nothing is open: most kinds of faults are off in most runs.
    return probability > 0 && this.fraction() < probability;
  }

  /** Exponentially distributed. */
  around(mean: number): number {
    return -mean * Math.log(1 - this.fraction());
  }

  pick<T>(items: readonly [T, ...T[]]): T;
  pick<T>(items: readonly T[]): T | undefined;
  pick<T>(items: readonly T[]): T | undefined {
    return items[this.integer(items.length)];
  }

  /** Each with probability one half. */
  some<T>(items: readonly T[]): T[] {
    return items.filter(() => this.chance(0.5));
  }

  bytes(size: number): Uint8Array {
    return Uint8Array.from({ length: size }, () => this.#word() & 0xff);
  }

  #word(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }
}
