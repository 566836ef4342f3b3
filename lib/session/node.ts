/** The node that a store runs on, as the store sees it. */
import { PaxosNode, type ResizeOptions } from '../node/node.js';
import type { NodeOptions } from '../node/options.js';
import type { RecoveryProgress } from '../node/recoverer.js';
import type { Registers } from '../node/registers.js';
import type { ResizeProgress } from '../node/resize.js';
import type { NodeStatus } from '../node/status.js';
import type { NodeWarning } from '../node/warnings.js';

export type { NodeOptions, NodeWarning, RecoveryProgress, ResizeOptions, ResizeProgress };

/** One process's place in the farm. */
export interface SessionNode extends Registers {
  /** Resolves when a quorum is there and the node has caught up; operations called before wait for it. */
  ready(): Promise<void>;
  close(): Promise<void>;
  status(): NodeStatus;
  /** See `PaxosNode.resize`. */
  resize(size: number, options?: ResizeOptions): Promise<void>;
  /** `connect` and `disconnect`: a quorum was gained or lost, after the node had been ready. */
  on(event: 'connect' | 'disconnect', listener: () => void): unknown;
  on(event: 'recovery', listener: (progress: RecoveryProgress) => void): unknown;
  on(event: 'resize', listener: (progress: ResizeProgress) => void): unknown;
  on(event: 'warning', listener: (warning: NodeWarning) => void): unknown;
  off(event: 'connect' | 'disconnect', listener: () => void): unknown;
  off(event: 'recovery', listener: (progress: RecoveryProgress) => void): unknown;
  off(event: 'resize', listener: (progress: ResizeProgress) => void): unknown;
  off(event: 'warning', listener: (warning: NodeWarning) => void): unknown;
}

/** Makes the node of a store that was given none. */
export const createNode = (options: NodeOptions): SessionNode => new PaxosNode(options);
