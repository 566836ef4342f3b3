import { type Place, slotOf, type View } from '../membership/index.js';
import type { Identity } from '../storage/index.js';
import { readHolder } from './holder.js';

/** What is stored of a process's place: by that the next one knows whose memory it has. */
export function identityOf(cluster: string, view: View, slot: number, process: number): Identity {
  const { incarnation, formedAtMs, holders } = view;
  const generation = holders[slot - 1]?.generation ?? 0;
  const stored = holders.map((holder) => holder && { ...holder });
  return { cluster, incarnation, slot, generation, process, formedAtMs, view: stored };
}

/** The way back. `null` where the memory is nobody's, or not of a farm of this size. */
export function placeOf({ incarnation, slot, process, formedAtMs, view }: Identity, size: number): Place | null {
  if (slot === 0 || !Array.isArray(view) || view.length !== size) return null;
  const holders = view.map(readHolder);
  const place = { view: { incarnation, formedAtMs, holders }, slot, voter: process };
  return slotOf(place.view, process) === slot ? place : null;
}
