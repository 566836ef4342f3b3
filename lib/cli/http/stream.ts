/** Changes as they happen: NDJSON, a line for each, an empty one now and then. */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import debugging from 'debug';
import { CHANGES_TYPE, type ItemChange, toJson } from '../items.js';
import { begin } from './answer.js';
import { refusalOf } from './refusal.js';

const debug = debugging('connect-paxos:http');

/** How often an empty line shows that both ends are still there, in ms. */
const HEARTBEAT_MS = 15_000;
/** An asker that has taken nothing for so long is gone; how often that is looked at. */
const STALLED_MS = 30_000;
const LOOK_MS = 5000;

/**
 * Sends until the asker goes, or the changes end. One that is slow gets the latest of each key: the source keeps no more. Why
 * they end is the last line, where it is not the asker's wish.
 */
export async function sendChanges(
  response: ServerResponse,
  changes: AsyncIterable<ItemChange>,
  ending: AbortSignal,
): Promise<void> {
  begin(response, 200, { 'Content-Type': CHANGES_TYPE });
  // The watch has begun: whoever waits for this line knows by it that nothing from now on is missed.
  response.write('\n');
  const heartbeat = setInterval(() => {
    if (!response.writableNeedDrain) response.write('\n');
  }, HEARTBEAT_MS);
  try {
    for await (const change of changes) {
      if (!response.write(`${JSON.stringify(lineOf(change))}\n`)) await drained(response, ending);
      if (ending.aborted) break;
    }
  } catch (error) {
    debug('a stream of changes: %s', (error as Error).stack);
    const { code, message } = refusalOf(error);
    response.write(`${JSON.stringify({ code, message })}\n`);
  } finally {
    clearInterval(heartbeat);
    response.end();
  }
}

export function lineOf({ kind, key, found }: ItemChange): Record<string, unknown> {
  return found === null ? { kind, key } : { kind, ...toJson(found) };
}

async function drained(response: ServerResponse, ending: AbortSignal): Promise<void> {
  let left = response.writableLength;
  let stalledMs = 0;
  const looking = setInterval(() => {
    stalledMs = response.writableLength < left ? 0 : stalledMs + LOOK_MS;
    left = response.writableLength;
    if (stalledMs >= STALLED_MS) response.destroy();
  }, LOOK_MS);
  await once(response, 'drain', { signal: ending }).catch(() => undefined);
  clearInterval(looking);
}
