import type { Readable } from 'node:stream';
import type { Arguments, OptionSpecs } from './arguments.js';
import type { ExitCode } from './exit-codes.js';
import type { Environment } from './node-options.js';
import type { Output } from './output.js';

/** What a command has to do with beside its arguments. */
export interface Context {
  readonly output: Output;
  readonly environment: Environment;
  readonly stdin: Readable;
  /** Aborted when the process is asked to end; for commands that run until then. */
  readonly ending: AbortSignal;
}

export interface Command {
  readonly name: string;
  /** What stands behind the name: `KEY VALUE`. */
  readonly positionals: string;
  /** A line of the list of commands. */
  readonly summary: string;
  /** What `--help` of the command says beside its options. */
  readonly details: string;
  readonly options: OptionSpecs;
  /**
   * `until-done`: a signal ends it as it ends any program. `until-told`: it runs until then, and ends in order.
   * `service`: that too, and it goes on when nobody reads its output any more.
   */
  readonly life: 'until-done' | 'until-told' | 'service';
  /** @throws an error that {@link exitCodeOf} knows, for the caller to print */
  run(args: Arguments, context: Context): Promise<ExitCode>;
}

export const COMMON_OPTIONS: OptionSpecs = {
  json: { help: 'JSON: one document, or one on each line where there are several; errors too' },
  help: { help: 'this text' },
};
