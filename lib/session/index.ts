export type { FieldConflict } from './merge.js';
export type { NodeWarning, SessionNode } from './node.js';
export type { SessionFieldConflict, SessionOptions } from './options.js';
export type { BytesSerializer, SessionSerializer, TextSerializer } from './serializer.js';
export type { SessionConflict } from './sessions.js';
export { PaxosStore, type PaxosStoreOptions } from './store.js';
