import type { Ballot } from './paxos/ballot.js';

/** Codes of the errors that this package raises. */
export type PaxosErrorCode =
  | 'ERR_NO_QUORUM'
  | 'ERR_OUTCOME_UNKNOWN'
  | 'ERR_VALUE_TOO_LARGE'
  | 'ERR_OVERLOADED'
  | 'ERR_CLOSED'
  | 'ERR_CONFIG'
  | 'ERR_STORAGE'
  | 'ERR_RESIZE_PENDING'
  | 'ERR_NO_HANDLER'
  | 'ERR_NO_ANSWER'
  | 'ERR_HANDLER_FAILED'
  | 'ERR_LIFETIME_OVER'
  | 'ERR_LEASE_ENDED'
  | 'ERR_TOO_MANY_LIVES'
  | 'ERR_UNREADABLE'
  | 'ERR_WATCH_OVERFLOW';

/** Base of all errors that this package raises; `code` tells them apart and the message names the remedy. */
export class PaxosError extends Error {
  constructor(
    readonly code: PaxosErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** A voter slot as an error names it. */
export interface VoterName {
  /** 1..clusterSize */
  readonly slot: number;
  /** `host:pid`, or `null` where nobody is known to hold the slot. */
  readonly name: string | null;
}

/** Too few voters answered in time. Nothing was written. Express answers 503. */
export class NoQuorumError extends PaxosError {
  /** Express's default error handler takes the response's status from here. */
  readonly status = 503;

  constructor(
    message: string,
    readonly seen: readonly VoterName[] = [],
    readonly missing: readonly VoterName[] = [],
  ) {
    super('ERR_NO_QUORUM', message);
  }
}

/** The time was up after the write had been sent: it may have taken effect, or may yet. Express answers 503. */
export class OutcomeUnknownError extends PaxosError {
  readonly status = 503;

  constructor(
    message: string,
    /** The operation, to look for later in what `Current.hasSeen` tells. */
    readonly operation: string,
    /** Ballot of the first attempt that was sent: no life of the key that began below it was begun by this operation. */
    readonly since: Ballot,
  ) {
    super('ERR_OUTCOME_UNKNOWN', message);
  }
}

/** A value, or an id, is larger than the farm carries. */
export class ValueTooLargeError extends PaxosError {
  readonly status = 413;

  constructor(message: string) {
    super('ERR_VALUE_TOO_LARGE', message);
  }
}

/** Too many operations are under way or waiting at this node. Nothing was sent. Express answers 503. */
export class OverloadedError extends PaxosError {
  readonly status = 503;

  constructor(message: string) {
    super('ERR_OVERLOADED', message);
  }
}

/** The store or node was closed. */
export class ClosedError extends PaxosError {
  constructor(message: string) {
    super('ERR_CLOSED', message);
  }
}

/** An option, or the machine's set-up, is not usable. */
export class ConfigError extends PaxosError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_CONFIG', message, options);
  }
}

/** The disk, or whatever else the durable storage stands on, failed. A voter that got it stops voting. */
export class StorageError extends PaxosError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_STORAGE', message, options);
  }
}

/** The farm did not get its new number of voters in time. It goes on by itself; the message says what it waits for. */
export class ResizePendingError extends PaxosError {
  constructor(
    message: string,
    /** Slots that are waited for. */
    readonly missing: readonly number[],
  ) {
    super('ERR_RESIZE_PENDING', message);
  }
}

/** The process asked has no handler for that topic. */
export class NoHandlerError extends PaxosError {
  constructor(message: string) {
    super('ERR_NO_HANDLER', message);
  }
}

/** The process asked did not answer in time. Its handler may have run, or may yet, unless the message says otherwise. */
export class NoAnswerError extends PaxosError {
  constructor(message: string) {
    super('ERR_NO_ANSWER', message);
  }
}

/** The handler of the process asked threw, or returned what can't be sent. The message has what it said. */
export class HandlerFailedError extends PaxosError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_HANDLER_FAILED', message, options);
  }
}

/** What the key was to live by is over already, or was never there. Nothing was written. */
export class LifetimeOverError extends PaxosError {
  constructor(message: string) {
    super('ERR_LIFETIME_OVER', message);
  }
}

/** Why a lease's signal is aborted: it was released, or lost. */
export class LeaseEndedError extends PaxosError {
  constructor(
    message: string,
    /** `false`: its holder gave it back. */
    readonly isLost: boolean,
  ) {
    super('ERR_LEASE_ENDED', message);
  }
}

/** A key hangs on too many others, one by another. */
export class TooManyLivesError extends PaxosError {
  constructor(message: string) {
    super('ERR_TOO_MANY_LIVES', message);
  }
}

/** What a register holds was written by something else, or by a later version. */
export class UnreadableValueError extends PaxosError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_UNREADABLE', message, options);
  }
}

/** A watch's consumer is too slow, and more keys have changed than are kept for it. Look at what is there, and watch anew. */
export class WatchOverflowError extends PaxosError {
  constructor(message: string) {
    super('ERR_WATCH_OVERFLOW', message);
  }
}
