export * from './ballot.js';
export * from './change.js';
export * from './messages.js';
export * from './record.js';
