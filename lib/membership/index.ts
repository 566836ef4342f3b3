export * from './claims.js';
export * from './guarded-clock.js';
export * from './membership.js';
export * from './peers.js';
export * from './resizing.js';
export * from './round-trip.js';
export * from './view.js';
