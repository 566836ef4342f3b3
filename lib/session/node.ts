/** The node that a store runs on, as the store sees it. */
import { ConfigError } from '../errors.js';
import type { Registers } from '../node/registers.js';

/** One process's place in the farm. */
export interface SessionNode extends Registers {
  /** Resolves when a quorum is there and the node has caught up; operations called before wait for it. */
  ready(): Promise<void>;
  close(): Promise<void>;
  status(): object;
  /** `connect` and `disconnect`: a quorum was gained or lost, after the node had been ready. */
  on(event: 'connect' | 'disconnect', listener: () => void): unknown;
  on(event: 'warning', listener: (warning: NodeWarning) => void): unknown;
  off(event: 'connect' | 'disconnect', listener: () => void): unknown;
  off(event: 'warning', listener: (warning: NodeWarning) => void): unknown;
}

/** Something that a person should know and may have to act on; the node goes on. */
export interface NodeWarning {
  readonly code: string;
  readonly message: string;
}

/** Options of the node that a store makes for itself. */
export type NodeOptions = Readonly<Record<string, unknown>>;

/** Makes the node of a store that was given none. */
export const createNode = (_options: NodeOptions): SessionNode => {
  throw new ConfigError('Option node is missing; it takes the node that the store is to run on.');
};
