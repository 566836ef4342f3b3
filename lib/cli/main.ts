#!/usr/bin/env node
/** The program `connect-paxos`: a process's streams, signals and exit code around {@link run}. */
import { PROGRAM } from './help.js';
import { run } from './run.js';

process.title = PROGRAM;
await run(process.argv.slice(2), process);
