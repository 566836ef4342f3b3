import { createHash } from 'node:crypto';

/** All that happens in a run, line by line: kept as a hash, and whole where somebody wants to read it. */
export class Trace {
  readonly #hash = createHash('sha256');
  readonly #lines: string[] | null;
  /** Is told each line; adds nothing. */
  listener: ((atMs: number, line: string) => void) | null = null;

  constructor(isKept: boolean) {
    this.#lines = isKept ? [] : null;
  }

  add(atMs: number, line: string): void {
    const text = `${atMs.toFixed(3)} ${line}\n`;
    this.#hash.update(text);
    this.#lines?.push(text);
    this.listener?.(atMs, line);
  }

  /** To be asked for once, at the end. */
  digest(): string {
    return this.#hash.digest('hex');
  }

  get text(): string {
    return this.#lines?.join('') ?? '';
  }
}
