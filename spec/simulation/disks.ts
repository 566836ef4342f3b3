import type { Storage } from '../../lib/storage/index.js';
import { type Fate, SimulatedDisk } from '../storage/simulated-disk.js';
import type { Host, Process } from './process.js';
import type { Random } from './random.js';
import type { World } from './world.js';

/** Ms that a write takes. */
const WRITE_MS = [0.1, 0.5, 2, 10];
/** Chance of a write that takes much longer: the machine's disk is busy. */
const STALL_CHANCE = 0.005;
const STALL_MS = 500;

/** The disks of all hosts: each outlives the processes on its host, unless it is lost. */
export class Disks {
  readonly #world: World;
  readonly #random: Random;
  readonly #disks = new Map<Host, SimulatedDisk>();
  readonly #failing = new Set<Process>();
  /** When the last write to each was begun. */
  readonly #begunMs = new Map<SimulatedDisk, number>();
  readonly #writeMs: number;
  readonly #isCalm: () => boolean;
  readonly #failed: (process: Process) => void;
  #isOver = false;

  /**
   * @param isCalm whether nothing goes wrong in this run
   * @param failed that process's write is about to fail
   */
  constructor(world: World, isCalm: () => boolean, failed: (process: Process) => void) {
    this.#world = world;
    this.#isCalm = isCalm;
    this.#failed = failed;
    this.#random = world.random.fork('disks');
    this.#writeMs = this.#random.pick(WRITE_MS) ?? 0;
  }

  #of(host: Host): SimulatedDisk {
    const disk = this.#disks.get(host) ?? new SimulatedDisk();
    this.#disks.set(host, disk);
    return disk;
  }

  /** Whether something was ever written there. */
  holdsAnything(host: Host): boolean {
    return this.#of(host).number > 0;
  }

  /** What a process on that host opens. */
  storageFor(process: Process): Storage {
    const disk = this.#of(process.host);
    const storage = disk.storage();
    return {
      // What is left of a dead process's steps does nothing.
      open: () => (process.isDead ? new Promise(() => undefined) : storage.open()),
      setAside: () => storage.setAside(),
      close: () => storage.close(),
      write: (batch) => {
        const written = storage.write(batch);
        if (!process.isDead) this.#begunMs.set(disk, process.nowMs);
        this.#world.count('disk: batch');
        this.#world.note(
          `${process.name} writes batch ${batch.number}: ${batch.puts.length} and ${batch.deletes.length}`,
        );
        const isLong = this.#random.chance(STALL_CHANCE) && !this.#isCalm() && !this.#isOver;
        const usualMs = this.#isCalm() ? Math.min(...WRITE_MS) : this.#writeMs;
        const ms = this.#random.around(isLong ? STALL_MS : usualMs);
        this.#world.at(process.nowMs + ms, process, () => {
          if (disk.pending?.number !== batch.number) return;
          if (!this.#failing.delete(process)) {
            disk.complete();
            return;
          }
          this.#failed(process);
          disk.fail(new Error('no space left on device'), this.#fate());
        });
        return written;
      },
    };
  }

  /** Nothing goes wrong any more. */
  end(): void {
    this.#isOver = true;
    this.#failing.clear();
  }

  /** Its next write fails. */
  fail(process: Process): void {
    this.#failing.add(process);
  }

  /** The process on that host is dead, and with it whatever it was about to hear of its last write. */
  crash({ host }: Process): void {
    const disk = this.#disks.get(host);
    if (disk === undefined) return;
    const fate = this.#fate();
    // One that it had not got to, since it stalled within the step, it never makes.
    disk.crash((this.#begunMs.get(disk) ?? 0) > this.#world.nowMs ? 'lost' : fate);
  }

  /** Another disk is in its place, or one that gives back something else. */
  lose(host: Host, isDamaged: boolean): void {
    const disk = this.#of(host);
    const key = this.#random.pick([...disk.entries.keys()]);
    if (!isDamaged || key === undefined) {
      this.#disks.delete(host);
      return;
    }
    const value = disk.entries.get(key) ?? new Uint8Array();
    const damaged = new Uint8Array(value);
    if (damaged.length > 0) damaged[this.#random.integer(damaged.length)] = this.#random.integer(256);
    disk.damage(key, this.#random.chance(0.3) ? null : damaged);
  }

  #fate(): Fate {
    return this.#random.pick<Fate>(['lost', 'written']) ?? 'lost';
  }
}
