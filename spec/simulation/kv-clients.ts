import { PaxosError } from '../../lib/errors.js';
import { type Entry, KEEP, type Key, type LifetimeOptions, type PaxosKV, REMOVE } from '../../lib/kv/index.js';
import { type Dependence, type Given, NO_END } from './kv-ends.js';
import { appended, incremented, type KvCall, KvHistories, type KvInput, type KvVerb } from './kv-histories.js';
import { HeldBySim, NodeBySim } from './kv-leases.js';
import { Watcher, type WatchersSetup } from './kv-watchers.js';
import type { Random } from './random.js';
import { listenersOf, type Server } from './server.js';
import type { Simulation } from './simulation.js';
import { EPOCH_MS } from './world.js';

/** A hot key gets another name after so many calls: the search for an order is exponential at its worst. */
const CALLS_PER_KEY = 28;
/** Leases held at a time, in all. */
const MAX_LEASES = 8;
/** How long it takes until whoever watches has looked at all keys, in ms; and how often that is waited for. */
const RECONCILIATION_MS = 6000;
const LOOKS = 4;
/** A slow consumer takes so long, in ms. */
const PATIENCE_MS = 3000;

const VERBS: Readonly<Record<string, readonly KvVerb[]>> = {
  n: ['increment', 'increment', 'find'],
  l: ['append', 'append', 'append', 'find', 'remove'],
  v: ['find', 'find', 'set', 'put', 'cas version', 'cas value', 'cas absent', 'keep', 'delete', 'delete version'],
  // Others live by them.
  p: ['set', 'set', 'find', 'delete', 'append'],
};

const WRITING: readonly KvVerb[] = ['set', 'put', 'increment', 'append', 'cas version', 'cas value', 'cas absent'];
const REMOVING: readonly KvVerb[] = ['remove', 'delete', 'delete version'];

/** What a call gives its key to live by: as it is asked for, and as it is judged. */
interface Lifetime {
  readonly options: LifetimeOptions;
  readonly dependences: Dependence[];
  /** Keys that it hangs on, and what was found there before. */
  readonly parents: readonly { readonly name: string; readonly created: bigint | null }[];
  readonly lease: HeldBySim | null;
}

/** What was said of a lease by a call that named it. */
interface Remark {
  readonly lease: HeldBySim;
  readonly isOver: boolean;
  readonly invoked: number;
  readonly returned: number;
  readonly what: string;
}

/** Users of the key-value store on all servers. */
export class KvClients {
  readonly #simulation: Simulation;
  readonly #histories = new KvHistories();
  readonly #generations = new Map<string, number>();
  readonly #watchers = new Set<Watcher>();
  readonly #leases = new Set<HeldBySim>();
  readonly #nodes = new Map<Server, NodeBySim>();
  readonly #remarks: Remark[] = [];
  /** By version: what it holds. */
  readonly #versions = new Map<string, string>();
  /** By version: the call that wrote it, where that is known. */
  readonly #writers = new Map<string, KvCall>();
  /** By key and revision: the version that was read. */
  readonly #byRevision = new Map<string, string>();
  /** By text: the only call that wrote it; `null` where there are several. */
  readonly #texts = new Map<string, KvCall | null>();
  /** By key: an entry that was seen last, and the latest revision that a call was answered with. */
  readonly #seen = new Map<string, Entry<string>>();
  readonly #revisions = new Map<string, bigint>();
  #token = 0;

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
  }

  /** A server begins: some of its clients watch. */
  employ(server: Server, random: Random): void {
    if (server.kv === null) return;
    this.#node(server);
    const { kvWatchers } = this.#simulation.plan;
    for (let count = 0; random.chance(kvWatchers) && count < 3; count += 1) this.#beginWatch(server, server.kv, random);
  }

  /** One client's one step. */
  async step(server: Server, random: Random): Promise<void> {
    if (server.kv === null) return;
    const { plan } = this.#simulation;
    const kind = random.fraction();
    if (kind < 0.03) return this.#takeLease(server, random);
    if (kind < 0.05) return this.#list(server, server.kv, random);
    if (kind < 0.06) return this.#changeWatch(server, server.kv, random);
    const family = random.pick(Object.keys(VERBS)) ?? 'v';
    const key = this.#hotKey(`${family}${random.integer(plan.kvKeys)}`);
    if (kind < 0.12) return this.#peek(server, server.kv, key);
    const verb = random.pick(VERBS[family] ?? []) ?? 'find';
    await this.#use(server, random, key, verb);
  }

  /** When all is well everybody can read all keys, and who watches has been told the latest. */
  async checkAll(server: Server): Promise<void> {
    if (server.kv === null) return;
    await Promise.all(
      this.#current.map(async (name) => {
        if ((await this.find(server, name)) === undefined)
          this.#simulation.object(`${server.process.name} can't find ${name} though all is well`);
      }),
    );
  }

  /** @returns what those who watch have not been told, though they have had time */
  async checkWatchers(server: Server): Promise<void> {
    let lacking: string[] = [];
    for (let looks = 0; looks < LOOKS; looks += 1) {
      const found = new Map<string, Entry<string> | null>();
      await Promise.all(
        this.#histories.keys.map(async (name) => {
          const entry = await this.find(server, name);
          if (entry !== undefined) found.set(name, entry);
        }),
      );
      lacking = this.#lacking(found);
      if (lacking.length === 0) return;
      await server.sleep(RECONCILIATION_MS);
    }
    for (const what of lacking) this.#simulation.object(what);
  }

  /** Ends all that has no end of its own. */
  async end(server: Server): Promise<void> {
    for (const lease of this.#leases) {
      if (!lease.isHeld) continue;
      await lease.server.sleep(0);
      if (!(await lease.release())) this.#simulation.object(`${lease.handle.id} can't be released though all is well`);
    }
    await server.sleep(0);
    await Promise.all(
      this.#histories.keys.map(async (name) => {
        const call = await this.#call(server, name, 'delete', inputOf('delete', '', '', null), null);
        if (call.output === null) this.#simulation.object(`${name} can't be deleted though all is well`);
      }),
    );
  }

  /** Ends all watches, and the stores; the nodes go on. */
  async close(servers: readonly Server[]): Promise<void> {
    for (const watcher of this.#watchers) {
      if (!watcher.server.isLive) continue;
      await watcher.server.sleep(0);
      watcher.end();
    }
    await Promise.all(servers.map(({ kv }) => kv?.close()));
    await servers[0]?.sleep(PATIENCE_MS);
    for (const watcher of this.#watchers) {
      if (watcher.server.isLive && !watcher.hasEnded) this.#simulation.object('a watch has not ended');
    }
    for (const { node, process, listeners } of servers) {
      if (listenersOf(node) !== listeners) this.#simulation.object(`${process.name} is still listened to`);
    }
  }

  judge(skewMs: number): { readonly broken: readonly string[]; readonly undecided: number } {
    const { broken, undecided } = this.#histories.judge(skewMs);
    const remarks = this.#remarks.flatMap(({ lease, isOver, invoked, returned, what }) => {
      const { mayFromMs, mustByMs } = lease.window(skewMs);
      const words = `${what}, ${invoked.toFixed(3)}..${returned.toFixed(3)}, over ${mayFromMs.toFixed(3)}..${mustByMs.toFixed(3)}`;
      if (isOver && mayFromMs > returned) return `lease ended too early: ${words}`;
      if (!isOver && mustByMs < invoked) return `lease outlives its end: ${words}`;
      return [];
    });
    return { broken: [...broken.map((history) => `not linearizable: ${history}`), ...remarks], undecided };
  }

  /** @returns `undefined` if there was no answer */
  async find(server: Server, name: string): Promise<Entry<string> | null | undefined> {
    const call = await this.#call(server, name, 'find', inputOf('find', '', '', null), null);
    if (call.output === null) return undefined;
    return call.output === '-' ? null : (this.#seen.get(`${name} ${call.output}`) ?? undefined);
  }

  get #current(): string[] {
    return [...this.#generations].map(([name, generation]) => `${name}.${generation}`);
  }

  #lacking(found: ReadonlyMap<string, Entry<string> | null>): string[] {
    return [...this.#watchers].flatMap((watcher) => {
      if (!watcher.server.isLive || watcher.hasEnded) return [];
      if (watcher.readyMs === Number.POSITIVE_INFINITY) return ['a watch has not begun though all is well'];
      return [...found].flatMap(([name, entry]) => {
        if (!watcher.covers(keyOf(name))) return [];
        const writer = entry === null ? undefined : this.#writers.get(entry.version);
        return watcher.lacks(name, entry, writer?.invoked ?? Number.NEGATIVE_INFINITY) ?? [];
      });
    });
  }

  // ---- keys

  async #use(server: Server, random: Random, name: string, verb: KvVerb): Promise<void> {
    this.#token += 1;
    let text = `t${this.#token}`;
    const last = this.#seen.get(name);
    // The same value once more, as another version of it.
    if (verb === 'set' && last !== undefined && random.chance(0.3)) text = last.value;
    const expected = this.#expectedOf(verb, last);
    if (expected === null) return;
    const isWriting = WRITING.includes(verb);
    // Those that keep what is there get nothing else half of the time.
    const keeps = verb !== 'set' && verb !== 'put' && random.chance(0.5);
    const lifetime = isWriting && !keeps ? await this.#drawLifetime(server, random, name) : null;
    // Only `set` and `put` take no word of it for no end.
    const isGiving = !keeps && (verb === 'set' || verb === 'put' || Object.keys(lifetime?.options ?? {}).length > 0);
    const input = inputOf(verb, text, expected, isWriting && isGiving ? NO_END : null);
    await this.#call(server, name, verb, input, lifetime);
    // Whether it is still the same life by which it is to live now.
    for (const parent of lifetime?.parents ?? []) {
      const found = await this.find(server, parent.name);
      const isKnown = parent.created !== null && found?.created === parent.created;
      const at = lifetime?.dependences.findIndex((each) => each.kind === 'life' && each.key === parent.name) ?? -1;
      if (isKnown && lifetime !== null)
        lifetime.dependences[at] = { kind: 'life', key: parent.name, created: parent.created };
      else this.#simulation.world.count('keys: hangs on an unknown life');
    }
  }

  /** @returns `null`: nothing is known that could be expected */
  #expectedOf(verb: KvVerb, last: Entry<string> | undefined): string | null {
    if (verb === 'cas value') return last?.value ?? 't0';
    if (verb !== 'cas version' && verb !== 'delete version') return '';
    const writer = last && this.#writers.get(last.version);
    return writer === undefined ? null : `${writer.number} ${last?.version}`;
  }

  async #drawLifetime(server: Server, random: Random, name: string): Promise<Lifetime | null> {
    const { longestLifeMs, kvHanging } = this.#simulation.plan;
    const lifeMs = random.chance(0.4) ? random.between(100, 3000) : random.between(longestLifeMs / 4, longestLifeMs);
    const ttl = random.chance(0.4) ? { ttlMs: Math.floor(lifeMs) } : {};
    const until = random.chance(0.3) ? { until: Math.floor(server.node.nowMs() + lifeMs) } : ttl;
    if (!random.chance(kvHanging)) return { options: until, dependences: [], parents: [], lease: null };
    const names = random.chance(0.7) ? random.some(this.#current).slice(0, 2) : [];
    const parents: { name: string; created: bigint | null }[] = [];
    for (const parent of names.filter((each) => each !== name || random.chance(0.3))) {
      const found = await this.find(server, parent);
      if (found != null || random.chance(0.1)) parents.push({ name: parent, created: found?.created ?? null });
    }
    const keys = parents.map((parent) => keyOf(parent.name));
    const leases = [...this.#leases].filter((lease) => lease.isHeld || random.chance(0.3));
    const lease = random.chance(0.4) ? (random.pick(leases) ?? null) : null;
    const other = random.pick(this.#simulation.servers) ?? server;
    const node = random.chance(0.2) ? this.#node(random.chance(0.5) ? server : other) : null;
    const dependences: Dependence[] = parents.map((parent) => ({ kind: 'life', key: parent.name, created: null }));
    for (const mortal of [lease, node]) if (mortal !== null) dependences.push({ kind: 'mortal', mortal });
    const isOwn = lease?.server === server && random.chance(0.5);
    const options: LifetimeOptions = {
      ...until,
      ...(keys.length === 1 ? { key: keys[0] } : keys.length > 1 ? { keys } : {}),
      ...(lease === null ? {} : { lease: isOwn ? lease.handle : lease.handle.id }),
      ...(node === null ? {} : { node: node.server === server ? true : node.server.node.status().process }),
    };
    return { options, dependences, parents, lease };
  }

  async #call(server: Server, name: string, verb: KvVerb, drawn: KvInput, lifetime: Lifetime | null): Promise<KvCall> {
    const { process, kv } = server;
    if (kv === null) throw new Error('this server has no key-value store');
    const key = keyOf(name);
    const given: { -readonly [K in keyof Given]: Given[K] } = {
      ...NO_END,
      sinceMs: process.nowMs,
      dependences: lifetime?.dependences ?? [],
    };
    const [expected = '', version = ''] = drawn.expected.split(' ');
    const input: KvInput = { ...drawn, expected, given: drawn.given === null ? null : given };
    const call = this.#histories.begin(name, input, process.nowMs);
    if (input.isWriting && !this.#texts.has(input.text)) this.#texts.set(input.text, call);
    else if (input.isWriting) this.#texts.set(input.text, null);
    const least = this.#revisions.get(name) ?? -1n;
    const options = lifetime?.options ?? {};
    const { ttlMs, until } = options;
    if (until !== undefined) given.untilFromMs = given.untilByMs = until - EPOCH_MS;
    const answer = await server.call(`${verb} ${name} ${input.text} ${wordsOf(options)}`, () => {
      const fromMs = server.node.nowMs();
      const outcome = overAsResult(this.#make(kv, key, input, version, options));
      // It has looked at the clock by now, once or twice.
      if (ttlMs !== undefined) {
        given.untilFromMs = fromMs + ttlMs - 1 - EPOCH_MS;
        given.untilByMs = server.node.nowMs() + ttlMs + 1 - EPOCH_MS;
      }
      return outcome;
    });
    call.returned = process.nowMs;
    if ('code' in answer) {
      if (answer.code === 'ERR_OUTCOME_UNKNOWN' && input.verb !== 'find') call.returned = Number.POSITIVE_INFINITY;
      else this.#histories.retract(name, call);
      return call;
    }
    if (answer.result === 'over') {
      this.#simulation.world.count('keys: lifetime over');
      this.#histories.retract(name, call);
      this.#heardOver(lifetime, call);
      return call;
    }
    const { output, entry, hasWritten } = answer.result;
    call.output = output;
    call.hasWritten = hasWritten;
    if (lifetime?.lease != null) this.#remark(lifetime.lease, false, call, name);
    if (entry === null) call.shown = 'absent';
    if (entry != null) {
      call.shown = entry;
      this.#saw(server, name, entry, hasWritten ? call : null, verb === 'find');
      if (entry.revision < least)
        this.#simulation.object(
          `${name} goes back from revision ${least} to ${entry.revision}, found by ${server.process.name}`,
        );
      if ((this.#revisions.get(name) ?? -1n) < entry.revision) this.#revisions.set(name, entry.revision);
    }
    return call;
  }

  /** @returns with `entry` undefined where it is not told what is there */
  async #make(
    kv: PaxosKV,
    key: Key,
    { verb, text, expected }: KvInput,
    version: string,
    options: LifetimeOptions,
  ): Promise<{ output: string; entry: Entry<string> | null | undefined; hasWritten: boolean }> {
    const told = (entry: Entry<string> | null, hasWritten = false, output = entry?.value ?? '-') => ({
      output,
      entry,
      hasWritten,
    });
    switch (verb) {
      case 'find':
        return told(await kv.find<string>(key));
      case 'set':
        return told(await kv.set(key, text, options), true, 'ok');
      case 'put':
        return { output: await kv.put(key, text, options), entry: undefined, hasWritten: false };
      case 'increment':
        return told(await kv.update<string>(key, (value) => incremented(value ?? null, text), options), true);
      case 'append':
        return told(await kv.update<string>(key, (value) => appended(value ?? null, text), options), true);
      case 'keep':
        return told(await kv.update<string>(key, () => KEEP));
      case 'remove':
        return told(await kv.update<string>(key, () => REMOVE));
      case 'cas version':
      case 'cas value':
      case 'cas absent': {
        const wanted =
          verb === 'cas version' ? { version } : verb === 'cas value' ? { value: expected } : { absent: true as const };
        const { isSet, entry } = await kv.compareAndSet<string>(key, wanted, text, options);
        return told(entry, isSet, isSet ? 'ok' : (entry?.value ?? '-'));
      }
      case 'delete':
        return { output: (await kv.delete(key)) ? '1' : '0', entry: null, hasWritten: false };
      case 'delete version':
        return {
          output: (await kv.delete(key, { expected: { version } })) ? '1' : '0',
          entry: undefined,
          hasWritten: false,
        };
    }
  }

  /** That what it was to live by is over is something that was read. */
  #heardOver(lifetime: Lifetime | null, call: KvCall): void {
    const [only, ...rest] = lifetime?.dependences ?? [];
    const { ttlMs, until } = lifetime?.options ?? {};
    if (only === undefined || rest.length > 0 || ttlMs !== undefined || until !== undefined) return;
    if (only.kind === 'life') {
      const found = this.#histories.begin(only.key, inputOf('find', '', '', null), call.invoked);
      found.output = '-';
      found.shown = 'absent';
      found.returned = call.returned;
    } else if (lifetime?.lease != null) this.#remark(lifetime.lease, true, call, 'a write that names it');
  }

  #remark(lease: HeldBySim, isOver: boolean, { invoked, returned }: KvCall, what: string): void {
    this.#remarks.push({
      lease,
      isOver,
      invoked,
      returned,
      what: `${lease.handle.id} ${isOver ? 'over' : 'alive'} by ${what}`,
    });
  }

  /** @param by who saw it */
  #saw(by: Server, name: string, entry: Entry<string>, writer: KvCall | null, isRead = true): void {
    const { version, value } = entry;
    const known = this.#versions.get(version);
    if (known !== undefined && known !== `${name} ${value}`)
      this.#simulation.object(`version ${version} is ${known}, and ${name} ${value}`);
    this.#versions.set(version, `${name} ${value}`);
    // Writes of one process that went out together share a revision: only the last of them is seen by others.
    if (isRead && !version.startsWith(`${by.node.status().process}.`)) {
      const other = this.#byRevision.get(`${name} ${entry.revision}`) ?? version;
      if (other !== version)
        this.#simulation.object(`${name} has revision ${entry.revision} with ${other} and ${version}`);
      this.#byRevision.set(`${name} ${entry.revision}`, version);
    }
    const author = writer ?? this.#texts.get(value.slice(Math.max(value.lastIndexOf('#'), value.lastIndexOf(',')) + 1));
    if (author === undefined) this.#simulation.object(`${name} holds ${value}, which nobody wrote`);
    if (author != null && !this.#writers.has(version)) this.#writers.set(version, author);
    this.#seen.set(name, entry);
    this.#seen.set(`${name} ${value}`, entry);
  }

  /** What this process has in its own memory may be old, but nobody's invention. */
  async #peek(server: Server, kv: PaxosKV, name: string): Promise<void> {
    const got = await server.call(`find ${name} locally`, () => kv.find<string>(keyOf(name), { consistency: 'local' }));
    if ('code' in got || got.result === null) return;
    const known = this.#seen.get(name);
    this.#saw(server, name, got.result, null);
    if (known !== undefined) this.#seen.set(name, known);
  }

  async #list(server: Server, kv: PaxosKV, random: Random): Promise<void> {
    const family = random.pick(Object.keys(VERBS)) ?? 'v';
    const { process } = server;
    const { invoked } = { invoked: process.nowMs };
    const least = new Map(this.#revisions);
    const list = async (): Promise<Entry<string>[]> => {
      const entries: Entry<string>[] = [];
      for await (const entry of kv.entries<string>({ prefix: prefixOf(family) })) entries.push(entry);
      return entries;
    };
    // One time-out to list them, one to read them.
    const listed = await server.call(`entries ${family}`, list, 3);
    if ('code' in listed) return;
    for (const entry of listed.result) {
      const name = nameOf(entry.key);
      if (!name.startsWith(family)) this.#simulation.object(`${name} is listed among ${family}`);
      this.#saw(server, name, entry, null);
      if (entry.revision < (least.get(name) ?? -1n)) this.#simulation.object(`${name} is listed as it was before`);
      if (this.#histories.of(name).length > CALLS_PER_KEY) continue;
      const call = this.#histories.begin(name, inputOf('find', '', '', null), invoked);
      call.output = entry.value;
      call.shown = entry;
      call.returned = process.nowMs;
    }
  }

  #hotKey(name: string): string {
    const generation = this.#generations.get(name) ?? 0;
    const isWorn = this.#histories.of(`${name}.${generation}`).length >= CALLS_PER_KEY;
    const next = isWorn ? generation + 1 : generation;
    this.#generations.set(name, next);
    return `${name}.${next}`;
  }

  // ---- leases and watches

  async #takeLease(server: Server, random: Random): Promise<void> {
    const held = [...this.#leases].filter((lease) => lease.isHeld);
    const { process, kv } = server;
    if (kv === null || held.length >= MAX_LEASES) return;
    const ttlMs = Math.floor(random.pick([500, 1000, 3000, 5000]));
    const { nowMs, isClockTrusted, lapses } = process;
    const taken = await server.call(`lease ${ttlMs}`, () => overAsResult(kv.lease({ ttlMs })));
    if ('code' in taken || taken.result === 'over') return;
    const lease = new HeldBySim(server, taken.result, ttlMs, nowMs, isClockTrusted && lapses === process.lapses);
    this.#leases.add(lease);
    if (random.chance(0.3)) return;
    const heldMs = random.around(5000);
    void server.sleep(heldMs).then(async () => {
      if (this.#simulation.isWorking && server.isLive) await lease.release();
    });
  }

  #node(server: Server): NodeBySim {
    const known = this.#nodes.get(server) ?? new NodeBySim(this.#simulation, server);
    this.#nodes.set(server, known);
    return known;
  }

  #changeWatch(server: Server, kv: PaxosKV, random: Random): void {
    const own = [...this.#watchers].filter((watcher) => watcher.server === server && !watcher.hasEnded);
    if (own.length > 0 && random.chance(0.5)) random.pick(own)?.end();
    else if (own.length < 4 && this.#simulation.plan.kvWatchers > 0) this.#beginWatch(server, kv, random);
  }

  #beginWatch(server: Server, kv: PaxosKV, random: Random): void {
    const { world, object, plan } = this.#simulation;
    const setup: WatchersSetup = {
      object: (what) => object.call(this.#simulation, what),
      count: (name) => world.count(name),
      nameOf,
      seen: (name, entry) => {
        const known = this.#seen.get(name);
        this.#saw(server, name, entry, null);
        if (known !== undefined) this.#seen.set(name, known);
      },
    };
    const family = random.pick(Object.keys(VERBS)) ?? 'v';
    const target = random.chance(0.5)
      ? { prefix: random.chance(0.3) ? '' : prefixOf(family) }
      : keyOf(this.#hotKey(`${family}${random.integer(plan.kvKeys)}`));
    this.#watchers.add(new Watcher(setup, server, kv, target, random));
  }
}

function inputOf(verb: KvVerb, text: string, expected: string, given: Given | null): KvInput {
  return {
    verb,
    text: WRITING.includes(verb) ? text : '',
    expected,
    given,
    isWriting: WRITING.includes(verb),
    isRemoving: REMOVING.includes(verb),
  };
}

/** Lists' keys are lists. */
function keyOf(name: string): Key {
  if (!name.startsWith('l')) return name;
  const [family = '', generation = ''] = name.slice(1).split('.');
  return ['l', Number(family), Number(generation)];
}

function nameOf(key: Key): string {
  return typeof key === 'string' ? key : `l${key.slice(1).join('.')}`;
}

function prefixOf(family: string): Key {
  return family === 'l' ? ['l'] : family;
}

function wordsOf({ until, ttlMs, key, keys, node, lease }: LifetimeOptions): string {
  const parts = { until, ttlMs, key, keys, node, lease: typeof lease === 'object' ? lease.id : lease };
  const given = Object.entries(parts).filter(([, value]) => value !== undefined);
  return given.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(' ');
}

/** That a lifetime is over is an answer. */
async function overAsResult<T>(outcome: Promise<T>): Promise<T | 'over'> {
  try {
    return await outcome;
  } catch (error) {
    if (error instanceof PaxosError && error.code === 'ERR_LIFETIME_OVER') return 'over';
    throw error;
  }
}
