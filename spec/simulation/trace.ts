import { createHash } from 'node:crypto';

const PENDING_LENGTH = 16_384;

/** All that happens in a run, line by line: kept as a hash, and whole where somebody wants to read it. */
export class Trace {
  readonly #hash = createHash('sha256');
  readonly #lines: string[] | null;
  /** Lines that are not in the hash yet: one call for many. */
  #pending = '';
  /** Is told each line; adds nothing. */
  listener: ((atMs: number, line: string) => void) | null = null;

  constructor(isKept: boolean) {
    this.#lines = isKept ? [] : null;
  }

  add(atMs: number, line: string): void {
    const text = `${atMs.toFixed(3)} ${line}\n`;
    this.#pending += text;
    if (this.#pending.length > PENDING_LENGTH) this.#flush();
    this.#lines?.push(text);
    this.listener?.(atMs, line);
  }

  /** To be asked for once, at the end. */
  digest(): string {
    this.#flush();
    return this.#hash.digest('hex');
  }

  #flush(): void {
    this.#hash.update(this.#pending);
    this.#pending = '';
  }

  get text(): string {
    return this.#lines?.join('') ?? '';
  }
}
