/** One process with a store, and the load on it. */
import { Session } from 'node:inspector/promises';
import { load } from './load.js';
import { answerCommands } from './processes.js';
import { SESSION_COUNT, sessionId, storedSession } from './sessions.js';
import { openStore } from './stores.js';

const inspector = new Session();
let opened = null;
/** Sessions as requests hold them, each made by the store from what it had loaded. */
let held = [];

/** What is measured, each for the nth time. */
const operations = {
  get: (n) => get(opened.store, sessionId(n)),
  set: (n) => {
    const { sid, session } = held[n % held.length];
    session.touch();
    session.views += 1;
    return set(opened.store, sid, session);
  },
  touch: (n) => touch(opened.store, n),
  'touch each': (n) => touch(opened.eager, n),
  /** A request that changes its session, whichever process changed it last. */
  'get and set': async (n) => {
    const session = await hold(opened.store, sessionId(n));
    session.touch();
    session.views += 1;
    await set(opened.store, sessionId(n), session);
  },
};

answerCommands(
  {
    async open(options) {
      opened = await openStore(options);
    },
    /** Saves all sessions anew. */
    async fill() {
      for (const store of new Set([opened.store, opened.eager])) {
        for (let n = 0; n < SESSION_COUNT; n += 1) {
          const sid = sessionId(n);
          await set(store, sid, store.createSession({ sessionID: sid }, storedSession(n)));
        }
      }
    },
    /** Saves sessions that nobody reads, so many that a farm is full. */
    async fillBulk({ first, count, size }) {
      const { cookie } = storedSession(0);
      const padding = 'x'.repeat(Math.max(0, size - 100));
      let next = first;
      const writer = async () => {
        while (next < first + count) {
          const sid = `bulk-${String(next++).padStart(27, '0')}`;
          await set(opened.store, sid, opened.store.createSession({ sessionID: sid }, { cookie, padding }));
        }
      };
      await Promise.all(Array.from({ length: 64 }, writer));
    },
    /** Loads the sessions `first`, `first + step`, …: those that this process is going to change. */
    async hold({ first, step, isEager }) {
      const store = isEager ? opened.eager : opened.store;
      held = [];
      for (let n = first; n < SESSION_COUNT; n += step) {
        const sid = sessionId(n);
        held.push({ sid, session: await hold(store, sid) });
      }
    },
    load: ({ operation, ...how }) => load(operations[operation], how),
    /** V8's sampling profiler, of time or of bytes allocated, until `endProfile`. */
    async startProfile({ isOfBytes }) {
      inspector.connect();
      if (isOfBytes) {
        const garbageToo = { includeObjectsCollectedByMajorGC: true, includeObjectsCollectedByMinorGC: true };
        await inspector.post('HeapProfiler.startSampling', { samplingInterval: 16_384, ...garbageToo });
        return;
      }
      await inspector.post('Profiler.enable');
      await inspector.post('Profiler.setSamplingInterval', { interval: 200 });
      await inspector.post('Profiler.start');
    },
    async endProfile({ isOfBytes }) {
      const { profile } = await inspector.post(isOfBytes ? 'HeapProfiler.stopSampling' : 'Profiler.stop');
      return profile;
    },
    clear: () => opened?.store.clear(),
    status: () => opened.status(),
    cpuMicros() {
      const { user, system } = process.cpuUsage();
      return user + system;
    },
  },
  async () => opened?.close(),
);

/** With callbacks, as express-session calls a store. */
function get(store, sid) {
  return new Promise((resolve, reject) => {
    store.get(sid, (error, data) => {
      if (error) reject(error);
      else if (data) resolve(data);
      else reject(new Error(`Session ${sid} is not there`));
    });
  });
}

async function hold(store, sid) {
  return store.createSession({ sessionID: sid }, await get(store, sid));
}

function set(store, sid, session) {
  return new Promise((resolve, reject) => {
    store.set(sid, session, (error) => (error ? reject(error) : resolve()));
  });
}

function touch(store, n) {
  const { sid, session } = held[n % held.length];
  session.touch();
  return new Promise((resolve, reject) => {
    store.touch(sid, session, (error) => (error ? reject(error) : resolve()));
  });
}
