import { connect } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { until } from '../../cluster/waiting.js';
import { demonstrate, endAllAfterEach, type Server, startServers } from './farm.js';

endAllAfterEach();

/** What an `EventSource` in a browser has been told last. */
class Tab {
  readonly #aborted = new AbortController();
  users: readonly string[] = [];

  constructor(
    readonly server: Server,
    readonly user: string,
  ) {
    tabs.push(this);
    // Closed, or its server was killed: it ends.
    this.#read().catch(() => undefined);
  }

  close(): void {
    this.#aborted.abort();
  }

  async #read(): Promise<void> {
    const url = await this.server.do<string>('url');
    const { signal } = this.#aborted;
    const { body } = await fetch(`${url}/online?user=${this.user}`, { signal });
    const decoder = new TextDecoder();
    let text = '';
    for await (const chunk of body as unknown as AsyncIterable<Uint8Array>) {
      text += decoder.decode(chunk, { stream: true });
      const events = text.split('\n\n');
      text = events.pop() ?? '';
      const last = events.findLast((event) => event.startsWith('data: '));
      if (last !== undefined) this.users = JSON.parse(last.replace(/^data: /, ''));
    }
  }
}

const tabs: Tab[] = [];
afterEach(() => {
  for (const tab of tabs.splice(0)) tab.close();
});

async function untilAllShow(tabs: readonly Tab[], users: readonly string[]): Promise<void> {
  const shown = users.join();
  await until(`all show ${shown}`, () => tabs.every((tab) => tab.users.join() === shown));
}

describe('the presence', () => {
  it('shows nobody who has not logged in, or has gone before it could be told', async () => {
    const [first] = await startServers('presence');
    const url = await first.do<string>('url');
    expect((await fetch(`${url}/online`)).status).toBe(401);
    await expect(fetch(`${url}/online?user=ada&isGone`)).rejects.toThrow();
    await until('that tab is gone', async () => (await first.do<number>('gone')) === 1);
    const grace = new Tab(first, 'grace');
    await untilAllShow([grace], ['grace']);
    expect(await first.do<string[]>('keys')).toHaveLength(1);
  });

  it('says that it can keep nobody, rather than to try for ever', async () => {
    const [first] = await startServers('presence');
    expect(await first.do('errorWith', 100)).toBe('ERR_CONFIG');
  });

  it('shows on every server who is online on any, until the last tab is closed', async () => {
    const [first, second, third] = await startServers('presence');
    const ada = new Tab(first, 'ada');
    const grace = new Tab(second, 'grace');
    const same = new Tab(third, 'ada');
    await untilAllShow([ada, grace, same], ['ada', 'grace']);
    await until('each tab has a key', async () => (await first.do<string[]>('keys')).length === 3);
    ada.close();
    await until('one of them has gone', async () => (await third.do<string[]>('keys')).length === 2);
    await untilAllShow([grace, same], ['ada', 'grace']);
    same.close();
    await untilAllShow([grace], ['grace']);
    await until('the first server has heard of it', async () => String(await first.do('users')) === 'grace');
    expect(await first.do('keys')).toHaveLength(1);
  });

  it('shows a user no more whose connection has not been closed, and comes not again', async () => {
    const [first, second] = await startServers('presence');
    const grace = new Tab(second, 'grace');
    const url = new URL(await first.do<string>('url'));
    const cameMs = performance.now();
    // It takes nothing in, and closes nothing.
    const vanished = connect(Number(url.port), url.hostname).pause();
    try {
      vanished.write('GET /briefly?user=ada HTTP/1.1\r\nHost: localhost\r\n\r\n');
      await untilAllShow([grace], ['ada', 'grace']);
      await untilAllShow([grace], ['grace']);
      // Not before it could have come again: 1 s for the response, 3 s after that.
      expect(performance.now() - cameMs).toBeGreaterThan(3900);
    } finally {
      vanished.destroy();
    }
  });

  it('tells connections apart that were opened by two lists of one process', async () => {
    const [first] = await startServers('presence');
    await first.do('joinTwice', 'ada');
    await until('the first of them has gone', async () => (await first.do<string[]>('keys')).length === 1);
    await until('ada is shown', async () => String(await first.do('users')) === 'ada');
  });

  it('shows the users of a server no more that was killed, or closed', async () => {
    const [first, second, third] = await startServers('presence');
    const ada = new Tab(first, 'ada');
    const others = ['grace', 'edsger', 'barbara'].map((user) => new Tab(second, user));
    await untilAllShow([ada, ...others], ['ada', 'barbara', 'edsger', 'grace']);
    await second.kill();
    await untilAllShow([ada], ['ada']);
    await until('the third server has heard of it', async () => String(await third.do('users')) === 'ada');
    const leslie = new Tab(third, 'leslie');
    await untilAllShow([ada, leslie], ['ada', 'leslie']);
    await third.do('close');
    await untilAllShow([ada], ['ada']);
  });

  it('shows them again when their server was only stopped for a while', async () => {
    const [first, second] = await startServers('presence');
    const ada = new Tab(first, 'ada');
    const grace = new Tab(second, 'grace');
    await untilAllShow([ada, grace], ['ada', 'grace']);
    second.signal('SIGSTOP');
    await untilAllShow([ada], ['ada']);
    second.signal('SIGCONT');
    await untilAllShow([ada, grace], ['ada', 'grace']);
    grace.close();
    await untilAllShow([ada], ['ada']);
  });

  it('is shown by its demonstration', async () => {
    expect(await demonstrate('presence')).toBe('Ada came\nGrace came\nAda went\nGrace went\n');
  });
});
