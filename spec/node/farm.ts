import { PaxosNode } from '../../lib/node/node.js';
import type { NodeOptions } from '../../lib/node/options.js';
import { type Runtime, systemRuntime } from '../../lib/node/runtime.js';
import type { Change, State } from '../../lib/paxos/index.js';
import { Hub } from './hub.js';

/** Ms that operations have where a test says nothing of it: a busy machine takes its time. */
const TIMEOUT_MS = 5000;

/** Nodes on one hub, started together and closed together. */
export class Farm {
  readonly hub = new Hub();
  readonly nodes: PaxosNode[] = [];
  readonly warnings: { readonly node: string; readonly code: string; readonly message: string }[] = [];

  add(options: NodeOptions = {}, runtime: Runtime = systemRuntime): PaxosNode {
    const name = `node-${this.nodes.length + 1}`;
    const transport = this.hub.transport();
    const node = new PaxosNode({ secret: false, transport, name, timeout: TIMEOUT_MS, ...options }, runtime);
    node.on('warning', (warning) => this.warnings.push({ node: name, ...warning }));
    this.nodes.push(node);
    return node;
  }

  async start(count: number, options: NodeOptions = {}): Promise<PaxosNode[]> {
    const nodes = Array.from({ length: count }, () => this.add(options));
    await Promise.all(nodes.map((node) => node.ready()));
    return nodes;
  }

  /** Ends a node without a word, as kill -9 does. */
  kill(node: PaxosNode): void {
    const port = this.nodes.indexOf(node) + 1;
    const { fate } = this.hub;
    this.hub.fate = (traffic) => (traffic.from === port || traffic.to === port ? { delaysMs: [] } : fate(traffic));
  }

  /** Until nothing that was asked or told waits to be sent: what is sent later is sent under the fate of then. */
  async haveSent(): Promise<void> {
    await until(() =>
      this.nodes.every((node) => {
        const { waiting = 0, lazy = 0 } = node.status().network.outbox ?? {};
        return waiting + lazy === 0;
      }),
    );
  }

  async close(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.close()));
  }
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Sets text for a time. */
export function setText(text: string, until: number): Change<null> {
  const value = encoder.encode(text);
  return {
    bound: until,
    mayRemove: false,
    seals: false,
    apply: () => ({ write: { value, attributes: new Uint8Array(), until }, result: null }),
  };
}

/** Adds one to a number kept as text; gives the number before. */
export function increment(until: number): Change<number> {
  return {
    bound: until,
    mayRemove: false,
    seals: false,
    apply: (current) => {
      const before = current.value === null ? 0 : Number(decoder.decode(current.value));
      return {
        write: { value: encoder.encode(String(before + 1)), attributes: new Uint8Array(), until },
        result: before,
      };
    },
  };
}

export const remove: Change<boolean> = {
  bound: 0,
  mayRemove: true,
  seals: true,
  apply: (current) => ({
    write: { value: null, attributes: new Uint8Array(), until: 0 },
    result: current.value !== null,
  }),
};

export function textOf(state: State): string | null {
  return state.value === null ? null : decoder.decode(state.value);
}

/** Longest wait for anything; a busy machine may take its time. */
const PATIENCE_MS = 60_000;

/**
 * Waits until `condition` holds.
 *
 * @param state for the error: what is there instead
 * @throws an error that says what was waited for
 */
export async function until(
  condition: () => boolean | Promise<boolean>,
  state?: () => unknown,
  patienceMs = PATIENCE_MS,
): Promise<void> {
  const deadlineMs = performance.now() + patienceMs;
  while (!(await condition())) {
    if (performance.now() > deadlineMs)
      throw new Error(`Waited in vain for ${condition}: ${JSON.stringify(state?.())}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
