import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Browser } from './browser.js';
import { endAll, Farm, type Server, type SessionEvent } from './farm.js';
import { multicast, peers } from './networks.js';
import { each, until } from './waiting.js';

const SESSIONS = 10;
const VOTERS = 3;

endAll();

describe.each([multicast, peers])('over $name, a learner, which holds no session itself, is told', (network) => {
  let farm: Farm;
  let voters: Server[];
  let learner: Server;
  /** One that can become a voter, and has not. */
  let standby: Server;

  beforeAll(async () => {
    // touchAfter 0: touches are written, and could be told of.
    farm = new Farm({ options: { transport: network.draw(VOTERS + 2), touchAfter: 0 }, isWatching: true });
    voters = await farm.start(...Array.from({ length: VOTERS }, () => ({})));
    learner = farm.add({ options: { slot: false } });
    standby = farm.add();
    await Promise.all([learner.ready(), standby.ready()]);
    for (const server of [learner, standby])
      expect(await server.status()).toMatchObject({ state: 'learner', records: 0 });
  });
  afterAll(() => farm.end());

  const toldOf = (server: Server, sid: string): SessionEvent['event'][] =>
    server.sessionEvents.flatMap((each) => (each.sid === sid ? [each.event] : []));

  /** Exactly that, in that order, by learners and voters. */
  async function untilAllAreTold(sid: string, events: readonly SessionEvent['event'][]): Promise<void> {
    await until(`all are told of ${events} of ${sid}`, () =>
      farm.servers.every((server) => toldOf(server, sid).length >= events.length),
    );
    for (const server of farm.servers)
      expect([server.config.options.name, toldOf(server, sid)]).toEqual([server.config.options.name, events]);
  }

  it('of what each voter changes and destroys, once each, in order', async () => {
    await each(SESSIONS * VOTERS, 4, async (index) => {
      const at = voters[index % VOTERS] as Server;
      const another = voters[(index + 1) % VOTERS] as Server;
      const browser = new Browser();
      const sid = await browser.login(at, `user-${index}`);
      await untilAllAreTold(sid, ['change']);
      await browser.post(another, '/web/save?field=count&value=1');
      await untilAllAreTold(sid, ['change', 'change']);
      await browser.post(at, '/web/logout');
      await untilAllAreTold(sid, ['change', 'change', 'destroy']);
    });
  });

  it('of what another learner does, and what it does itself', async () => {
    for (const [index, server] of [learner, standby].entries()) {
      const browser = new Browser();
      const sid = await browser.login(server, `learner-${index}`);
      await untilAllAreTold(sid, ['change']);
      await browser.post(server, '/web/logout');
      await untilAllAreTold(sid, ['change', 'destroy']);
    }
  });

  it('of a session too large for a datagram', async () => {
    const browser = new Browser();
    const sid = await browser.login(voters[0] as Server, 'large');
    await untilAllAreTold(sid, ['change']);
    await browser.post(voters[1] as Server, '/web/large?size=100000');
    await untilAllAreTold(sid, ['change', 'change']);
  });

  it('of no touch', async () => {
    const browser = new Browser();
    const sid = await browser.login(voters[0] as Server, 'idle');
    // Before the others have been told of the login.
    for (const server of farm.servers) expect(await browser.read(server)).toEqual({ user: 'idle' });
    // What comes after the touches of the same server is told of after them.
    for (const server of farm.servers) await untilAllAreTold(await new Browser().login(server, 'later'), ['change']);
    await untilAllAreTold(sid, ['change']);
  });

  it('of what is destroyed after it came, though it was made before', async () => {
    const browser = new Browser();
    const sid = await browser.login(voters[2] as Server, 'early');
    await untilAllAreTold(sid, ['change']);
    const late = farm.add({ options: { slot: false } });
    await late.ready();
    await browser.post(voters[0] as Server, '/web/logout');
    await until('the late one is told', () => toldOf(late, sid).length > 0);
    expect(toldOf(late, sid)).toEqual(['destroy']);
  });
});
