import { availableParallelism } from 'node:os';

/** @type {import('jest').Config} */
export default {
  testEnvironment: 'node',
  roots: ['<rootDir>/spec'],
  testMatch: ['**/*.spec.ts'],
  // The sources name their imports as Node runs them ('./ballot.js'); under jest they are the .ts files.
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  // Tests run as CommonJS, without Node's experimental vm modules; so ESM-only dependencies are transformed too.
  transformIgnorePatterns: ['/node_modules/(?!(dgram-as-promised|fast-check|pure-rand)/)'],
  transform: {
    '^.+\\.[jt]s$': [
      '@swc/jest',
      { jsc: { target: 'es2022', parser: { syntax: 'typescript' } }, module: { type: 'commonjs' } },
    ],
  },
  // A busy machine takes its time.
  testTimeout: 180_000,
  // A third of a suite's time is waiting for other processes and for time-outs: two cores have enough to do with three.
  maxWorkers: Math.ceil(1.5 * availableParallelism()),
};
