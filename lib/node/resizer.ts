import debugging from 'debug';
import type { PaxosError } from '../errors.js';
import { type Config, configTowards, type Membership, stageOf, targetOf } from '../membership/index.js';
import type { Change, Changed } from '../paxos/index.js';
import { CONFIG_KEY, configChange } from './config.js';
import type { Diagnosis } from './diagnosis.js';
import { progressOf, type ResizeProgress } from './resize.js';
import type { Runtime } from './runtime.js';
import { pause } from './waits.js';

const debug = debugging('connect-paxos:node');

/** How often a call looks whether the farm has its new size, in ms. */
const LOOK_MS = 100;

export interface ResizerSetup {
  readonly runtime: Runtime;
  readonly membership: Membership;
  readonly diagnosis: Diagnosis;
  /** For the log. */
  readonly name: string;
  /** Of a farm that is not found yet. */
  readonly clusterSize: number;
  change<R>(key: string, change: Change<R>): Promise<Changed<R>>;
  /** Why nothing may be called now, or `null`. */
  refusal(): PaxosError | null;
  /** Whether a quorum is in contact. */
  isConnected(): boolean;
  /** This config stands. */
  agreed(config: Config): void;
  /** The farm has come a step further. */
  progressed(progress: ResizeProgress): void;
}

/** Has the farm agree on another number of voters, step by step (docs/protocol.md, "Change of size"). */
export class Resizer {
  readonly #setup: ResizerSetup;
  /** What was told last, as JSON. */
  #told = 'null';

  constructor(setup: ResizerSetup) {
    this.#setup = setup;
  }

  /** `null` while the farm is not changing its size. */
  get progress(): ResizeProgress | null {
    const { membership, runtime } = this.#setup;
    return progressOf(membership.config, membership.slotsMissing(runtime.monotonicMs()));
  }

  /** See {@link PaxosNode.resize}. */
  async resize(size: number, timeoutMs: number): Promise<void> {
    const { runtime, membership, diagnosis, refusal, isConnected } = this.#setup;
    const deadlineMs = runtime.monotonicMs() + timeoutMs;
    let hasTurned = false;
    for (;;) {
      const reason = refusal();
      if (reason !== null) throw reason;
      const { config } = membership;
      if (config !== null && stageOf(config) === 'stable' && targetOf(config) === size) return;
      const next = config && configTowards(config, size);
      // Of two calls for different sizes one gives way: whoever has turned once does not turn again.
      const mayTurn = !hasTurned || (config !== null && stageOf(config) === 'stable');
      if (next !== null && mayTurn && membership.mayResize(size, runtime.monotonicMs())) {
        hasTurned = (await this.configure(next)) === null || hasTurned;
      }
      if (runtime.monotonicMs() >= deadlineMs) {
        throw isConnected() ? diagnosis.pendingResize(size, this.progress) : diagnosis.noQuorum();
      }
      await pause(runtime, LOOK_MS);
    }
  }

  /** Proposes what the farm's config is to be next. @returns why that came to nothing, or nobody knows; `null` if it is agreed */
  configure(config: Config): Promise<PaxosError | null> {
    const { change, membership, agreed } = this.#setup;
    return change(CONFIG_KEY, configChange(config)).then(
      ({ result }) => {
        agreed(result);
        return null;
      },
      (error: PaxosError) => {
        debug('config %d failed: %s', config.version, error);
        membership.configureFailed();
        return error;
      },
    );
  }

  /** Tells how far it is, if that is news. */
  tell(): void {
    const { membership, name, clusterSize, progressed } = this.#setup;
    const { progress } = this;
    const told = progress === null ? 'null' : JSON.stringify(progress);
    if (told === this.#told) return;
    this.#told = told;
    debug('%s: resize %s', name, told);
    const size = membership.config?.sizes[0] ?? clusterSize;
    progressed(progress ?? { from: size, to: size, stage: 'done', missing: [] });
  }
}
