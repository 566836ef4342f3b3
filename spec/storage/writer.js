/** A process that writes, says so, and waits to be killed: the directory is its argument. */
import { DurableTable, LevelStorage, openMemory } from '../../dist/storage/index.js';

const opening = await openMemory(new LevelStorage({ path: process.argv[2] }), { cluster: 'shop' });
if (!(opening.table instanceof DurableTable) || opening.kind !== 'empty') throw new Error(opening.kind);
const { table } = opening;
table.identify({ cluster: 'shop', incarnation: 1, slot: 1, generation: 1, process: 1, formedAtMs: 0, view: null });

for (let step = 1; ; ) {
  const flushes = [];
  for (let burst = step % 7; burst >= 0; burst -= 1, step += 1) {
    const promised = { round: step, proposer: 1 };
    table.set(`k${step % 20}`, { promised, proposal: null, committed: false, horizon: 0, touchedMs: 0 });
    const done = step;
    flushes.push(table.flush().then(() => process.stdout.write(`${done}\n`)));
  }
  await Promise.all(flushes);
}
