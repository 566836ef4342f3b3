/** The node that a bucket lives on, as this room sees it. */
import type { AnswerHandler } from '../node/answering.js';
import type { Answer, AskOptions } from '../node/asking.js';
import type { Member, MemberEvent } from '../node/members.js';
import { PaxosNode, type ResizeOptions } from '../node/node.js';
import type { NodeOptions } from '../node/options.js';
import type { WatchableRegisters } from '../node/registers.js';
import type { NodeStatus } from '../node/status.js';
import type { NodeWarning } from '../node/warnings.js';

/** One process's place in the farm: a `PaxosNode`. */
export interface KvNode extends WatchableRegisters {
  readonly size: number;
  ready(): Promise<void>;
  close(): Promise<void>;
  status(): NodeStatus;
  resize(size: number, options?: ResizeOptions): Promise<void>;
  members(): Member[];
  ask<T = unknown>(topic: string, payload?: unknown, options?: AskOptions): Promise<Answer<T>[]>;
  answer(topic: string, handler: AnswerHandler): () => void;
  /** Has something done before the node leaves, while it still serves. @returns takes it back */
  beforeClose(step: () => Promise<void>): () => void;
  on(event: 'connect' | 'disconnect', listener: () => void): unknown;
  on(event: 'member', listener: (event: MemberEvent) => void): unknown;
  on(event: 'warning', listener: (warning: NodeWarning) => void): unknown;
  off(event: 'connect' | 'disconnect', listener: () => void): unknown;
  off(event: 'member', listener: (event: MemberEvent) => void): unknown;
  off(event: 'warning', listener: (warning: NodeWarning) => void): unknown;
}

/** Makes the node of a key-value store that was given none. */
export const createNode = (options: NodeOptions): KvNode => new PaxosNode(options);
