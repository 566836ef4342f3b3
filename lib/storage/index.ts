export { type AcceptorMemory, recordsOf } from './acceptor-memory.js';
export type { StoredRecord } from './decode.js';
export { DurableTable } from './durable-table.js';
export type { Identity } from './format.js';
export { type LevelOptions, LevelStorage } from './level.js';
export { MemoryTable } from './memory.js';
export { type Opening, type OpenSetup, openMemory } from './open.js';
export * from './storage.js';
export { VolatileTable } from './volatile-table.js';
