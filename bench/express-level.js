/** An Express app with each store behind express-session, under autocannon, which runs in this process. */
import { setTimeout } from 'node:timers/promises';
import autocannon from 'autocannon';
import { MEMORY, PAXOS, REDIS, startContestants } from './contestants.js';
import { Measurements } from './measurements.js';
import { SESSION_COUNT } from './sessions.js';
import { Samples } from './statistics.js';

const WARM_UP_SECONDS = 1;
const CONNECTIONS = 64;
/** Sessions that one connection goes through, over and over. Several connections share each. */
const SESSIONS_PER_CONNECTION = 100;
const LOGINS_AT_A_TIME = 16;

export const EXPRESS_ROWS = [
  { label: 'read a session', path: '/read', group: 'one app', apps: 1, contestants: [PAXOS, REDIS, MEMORY] },
  { label: 'write a session', path: '/write', group: 'one app', apps: 1, contestants: [PAXOS, REDIS, MEMORY] },
  // Sessions in the memory of one process are unknown to the others.
  { label: 'read a session', path: '/read', group: 'three apps', apps: 3, contestants: [PAXOS, REDIS] },
  { label: 'write a session', path: '/write', group: 'three apps', apps: 3, contestants: [PAXOS, REDIS] },
];

export async function measureApps({ rounds, seconds, redis, isSealed, tell }) {
  const contestants = await startContestants('app-process.js', { redis, isSealed });
  try {
    const cookies = new Map();
    for (const { name, opened } of contestants) cookies.set(name, await logIn(opened[0].url));
    const measurements = new Measurements();
    for (let round = 1; round <= rounds; round += 1) {
      for (const row of EXPRESS_ROWS) {
        tell(`express, round ${round} of ${rounds}: ${row.label}, load on ${row.group}`);
        for (const contestant of contestants) {
          if (!row.contestants.includes(contestant.name)) continue;
          const figures = await measure(contestant, row, cookies.get(contestant.name), seconds);
          measurements.add({ round, row: `${row.group}: ${row.label}`, contestant: contestant.name, ...figures });
        }
      }
    }
    return { measurements, text: contestants.find(({ name }) => name === PAXOS).text };
  } finally {
    await Promise.allSettled(contestants.map((contestant) => contestant.end()));
  }
}

/** @returns the cookie of each session */
async function logIn(url) {
  const cookies = [];
  for (let n = 0; n < SESSION_COUNT; n += LOGINS_AT_A_TIME) {
    const count = Math.min(LOGINS_AT_A_TIME, SESSION_COUNT - n);
    const some = Array.from({ length: count }, async (_, index) => {
      const response = await fetch(`${url}/login/${n + index}`);
      await response.arrayBuffer();
      const [cookie] = response.headers.getSetCookie();
      if (!response.ok || cookie === undefined) throw new Error(`The login answered ${response.status}`);
      return cookie.split(';')[0];
    });
    cookies.push(...(await Promise.all(some)));
  }
  return cookies;
}

async function measure(contestant, { path, apps }, cookies, seconds) {
  const samples = new Samples();
  let [isCounting, done, errors] = [false, 0, 0];
  let connection = 0;
  const run = autocannon({
    url: contestant.opened.slice(0, apps).map(({ url }) => url + path),
    connections: CONNECTIONS,
    duration: WARM_UP_SECONDS + seconds + 60, // it is stopped by hand
    sampleInt: 100,
    setupClient: (client) => client.setRequests(requestsOf(connection++, path, cookies)),
  });
  run.on('response', (_client, status, _bytes, tookMs) => {
    if (!isCounting) return;
    if (status !== 200) errors += 1;
    else done += 1;
    samples.add(tookMs);
  });
  run.on('reqError', () => {
    errors += 1;
  });

  await setTimeout(WARM_UP_SECONDS * 1000);
  const cpuBefore = await contestant.cpuMicros();
  isCounting = true;
  const startMs = performance.now();
  await setTimeout(seconds * 1000);
  isCounting = false;
  const elapsed = (performance.now() - startMs) / 1000;
  const cpuMicros = (await contestant.cpuMicros()) - cpuBefore;
  run.stop();
  await run;
  const [p50, p99] = samples.percentiles(0.5, 0.99);
  return { done, errors, messages: [], perSecond: done / elapsed, cpuMicros: cpuMicros / done, p50, p99 };
}

/** Neighbouring connections, which load different apps, go through the same sessions some time apart. */
function requestsOf(connection, path, cookies) {
  const first = Math.floor((connection * cookies.length) / CONNECTIONS);
  return Array.from({ length: SESSIONS_PER_CONNECTION }, (_, index) => {
    return { path, headers: { cookie: cookies[(first + index) % cookies.length] } };
  });
}
