import { beforeAll, expect, it } from '@jest/globals';
import { Browser } from './browser.js';
import { endAll, Farm, type Server } from './farm.js';
import { until } from './waiting.js';

let farm: Farm;
let first: Server;
let second: Server;
let third: Server;

endAll();
beforeAll(async () => {
  farm = new Farm({ options: { touchAfter: 0 } });
  await farm.start({}, {}, {});
  [first, second, third] = [farm.at(0), farm.at(1), farm.at(2)];
});

/** Writes to sessions by two servers until it is ended; gives what went wrong, and the last count of each session. */
function write(): { end(): Promise<{ failures: string[]; browsers: Browser[]; counts: number[] }> } {
  const failures: string[] = [];
  const browsers = Array.from({ length: 6 }, () => new Browser());
  const counts = browsers.map(() => 0);
  let isOver = false;
  const writing = Promise.all(
    browsers.map(async (browser, at) => {
      const server = at % 2 === 0 ? first : second;
      while (!isOver) {
        const count = (counts[at] ?? 0) + 1;
        const { status } = await browser.post(server, `/web/save?field=count&value=${count}`);
        if (status !== 200) failures.push(`${status}`);
        counts[at] = count;
      }
    }),
  );
  return {
    end: async () => {
      isOver = true;
      await writing;
      return { failures, browsers, counts };
    },
  };
}

it('a server that was stopped, and goes on, shows at once what it missed', async () => {
  const stopped = new Browser();
  await stopped.login(third, 'somebody');
  const slow = await stopped.begin(third, '/web/set?field=late&value=1');
  const writing = write();
  third.signal('SIGSTOP');
  const ended = slow.end();
  await stopped.post(first, '/web/logout');
  await until('the others have noticed', async () => (await first.status()).voters.some(({ isUp }) => !isUp));
  const { failures, browsers, counts } = await writing.end();
  const reads = Promise.all(browsers.map((browser) => browser.read(third)));
  third.signal('SIGCONT');
  expect((await reads).map(({ count }) => Number(count))).toEqual(counts);
  expect(failures).toEqual([]);
  // What it had loaded before does not come back by it either.
  expect((await ended).status).toBe(200);
  for (const server of farm.servers) expect(await stopped.read(server)).toEqual({});
  expect(third.events.filter(({ event }) => event === 'disconnect')).toEqual([]);
  await until('it counts again', async () => (await first.status()).voters.every(({ isUp }) => isUp));
  expect(await third.errors()).toEqual([]);
});

it('a server that closes is not missed', async () => {
  const leaving = new Browser();
  await leaving.login(third, 'somebody');
  const slow = await leaving.begin(third, '/web/set?field=last&value=1');
  const writing = write();
  const closing = third.close();
  await until('it takes no new requests', () =>
    third.request('/status').then(
      () => false,
      () => true,
    ),
  );
  expect((await slow.end()).status).toBe(200);
  await closing;
  expect(third.exit).toBe(0);
  await until('the others know', async () => (await first.status()).voters.some(({ isUp }) => !isUp));
  const { failures, browsers, counts } = await writing.end();
  expect(failures).toEqual([]);
  expect(await leaving.read(first)).toEqual({ user: 'somebody', last: '1' });
  const reads = await Promise.all(browsers.map((browser) => browser.read(second)));
  expect(reads.map(({ count }) => Number(count))).toEqual(counts);
});

it('five voters bear the loss of two at once, with all writers on one session', async () => {
  const five = new Farm({ options: { clusterSize: 5 } });
  await five.start({}, {}, {}, {}, {});
  const survivors = five.servers.slice(0, 3);
  const browser = new Browser();
  await browser.login(five.at(4), 'somebody');
  const failures: string[] = [];
  const expected: Record<string, string> = { user: 'somebody' };
  let isOver = false;
  const writing = survivors.map(async (server, at) => {
    for (let count = 1; !isOver || count <= 20; count += 1) {
      const field = `${at}-${count % 10}`;
      const { status, text } = await browser.post(server, `/web/save?field=${field}&value=${count}`);
      if (status !== 200) failures.push(text);
      expected[field] = String(count);
    }
  });
  await until('they write', () => Object.keys(expected).length > 10);
  await Promise.all([five.at(3).kill(), five.at(4).kill()]);
  await until('the others have noticed', async () => {
    const { voters, isReady } = await five.at(0).status();
    expect(isReady).toBe(true);
    return voters.filter(({ isUp }) => isUp).length === 3;
  });
  isOver = true;
  await Promise.all(writing);
  expect(failures).toEqual([]);
  for (const server of survivors) expect(await browser.read(server)).toEqual(expected);
});
