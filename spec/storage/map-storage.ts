import type { Storage } from '../../lib/storage/index.js';

/**
 * A storage on a map, which any number of processes may open, as where a disk was copied.
 *
 * @param held waited for before each write
 */
export function storageOn(disk: Map<string, Uint8Array>, held: () => Promise<void> = async () => undefined): Storage {
  return {
    open: async () => ({
      kind: 'open',
      knownNumber: 0,
      entries: (async function* () {
        yield [...disk].map(([key, value]) => ({ key, value }));
      })(),
    }),
    write: async ({ puts, deletes }) => {
      await held();
      for (const { key, value } of puts) disk.set(key, value);
      for (const key of deletes) disk.delete(key);
    },
    setAside: async () => 'nowhere',
    close: async () => undefined,
  };
}
