import { PaxosError } from '../errors.js';

/** What a command's process ends with. */
export const EXIT = {
  ok: 0,
  /** The key is not there, or the condition did not hold. */
  no: 1,
  usage: 2,
  noQuorum: 3,
  outcomeUnknown: 4,
  failure: 5,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** As `--help` says it. */
export const EXIT_HELP = `Exit codes:
  0  done
  1  the key is not there, or the condition did not hold
  2  wrong usage or configuration
  3  no quorum in time: nothing was written
  4  outcome unknown: the write may have taken effect, or may yet
  5  any other failure`;

/** What a command did not do, said for the person or program that called it. */
export class CommandError extends Error {
  override readonly name: string = 'CommandError';

  constructor(
    /** Of a node that was asked by HTTP its own (`ERR_NO_QUORUM`, …), or what kept its answer from coming. */
    readonly code: string,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** The caller has asked for something that there is not; the message says what there is. */
export class UsageError extends CommandError {
  override readonly name = 'UsageError';

  constructor(message: string) {
    super('ERR_USAGE', message);
  }
}

export function exitCodeOf(error: unknown): ExitCode {
  const code = (error as { readonly code?: unknown } | null)?.code;
  switch (code) {
    case 'ERR_NOT_FOUND':
    case 'ERR_CONDITION':
      return EXIT.no;
    case 'ERR_USAGE':
    case 'ERR_CONFIG':
    case 'ERR_UNAUTHORIZED':
    case 'ERR_BAD_REQUEST':
      return EXIT.usage;
    case 'ERR_NO_QUORUM':
      return EXIT.noQuorum;
    case 'ERR_OUTCOME_UNKNOWN':
      return EXIT.outcomeUnknown;
    default:
      return EXIT.failure;
  }
}

/** Whether the message is written for the person at the terminal. A stack trace tells more of any other. */
export function isForPeople(error: unknown): error is CommandError | PaxosError {
  return error instanceof CommandError || error instanceof PaxosError;
}
