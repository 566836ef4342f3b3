import type { Config, Place, View } from '../membership/index.js';
import type { Identity } from '../storage/index.js';
import { readConfig } from './config.js';
import { readHolder } from './holder.js';

/** What is stored of a process's place: by that the next one knows whose memory it has. */
export function identityOf(cluster: string, view: View, slot: number, process: number): Identity {
  const { incarnation, formedAtMs, holders, config } = view;
  const generation = holders[slot - 1]?.generation ?? 0;
  const stored = holders.map((holder) => holder && { ...holder });
  // The first versions knew holders only, and could not change a farm's size.
  const known = config === undefined ? stored : { holders: stored, config };
  return { cluster, incarnation, slot, generation, process, formedAtMs, view: known };
}

/** The way back. `null` where the memory is nobody's. */
export function placeOf({ incarnation, slot, process, formedAtMs, view }: Identity): Place | null {
  const known = viewIn(view);
  if (slot === 0 || known === null) return null;
  const place = { view: { incarnation, formedAtMs, ...known }, slot, voter: process };
  // Not the first slot that it stands in: by a claim of which it did not know it may stand in another one too.
  return place.view.holders[slot - 1]?.process === process ? place : null;
}

function viewIn(stored: object | null): Pick<View, 'holders' | 'config'> | null {
  if (Array.isArray(stored)) return { holders: stored.map(readHolder) };
  const { holders, config: read } = (stored ?? {}) as { readonly holders?: unknown; readonly config?: unknown };
  const config: Config | null = readConfig(read);
  if (!Array.isArray(holders) || config === null || config.slots !== holders.length) return null;
  return { holders: holders.map(readHolder), config };
}
