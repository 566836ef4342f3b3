import { expect, it } from '@jest/globals';
import { Browser } from './browser.js';
import { endAll, Farm } from './farm.js';
import { broadcast, findMulticastV6, multicastV6, type Network } from './networks.js';

endAll();

it('a farm works over subnet broadcast', () => expectWorks(broadcast), 60_000);

it('a farm works over IPv6 multicast, where the machine has it', async () => {
  const name = await findMulticastV6();
  if (name === null) console.log('no interface carries IPv6 multicast here: not tried');
  else await expectWorks(multicastV6(name));
});

/** What the other specs look at closely over multicast and peers, in small. */
async function expectWorks(network: Network): Promise<void> {
  const farm = new Farm({ options: { transport: network.draw(3) } });
  const [first, second, third] = await farm.start({}, {}, {});
  if (first === undefined || second === undefined || third === undefined) throw new Error('three were started');
  for (let index = 0; index < 20; index += 1) {
    const browser = new Browser();
    const sid = await browser.login(first, `user ${index}`);
    const slow = await Promise.all(
      [second, third].map((server, at) => browser.begin(server, `/web/set?field=f${at}&value=1`)),
    );
    await Promise.all(slow.map((request) => request.end()));
    expect(await browser.read(first)).toEqual({ user: `user ${index}`, f0: '1', f1: '1' });
    const late = await browser.begin(third, '/web/set?field=late&value=1');
    await browser.post(second, '/web/logout');
    expect((await late.end()).status).toBe(200);
    for (const server of farm.servers) expect(await server.store('get', sid)).toBeNull();
  }
  const browser = new Browser();
  await browser.login(first, 'survivor');
  await browser.post(first, '/web/large?size=300000');
  await first.kill();
  for (const server of [second, third]) {
    expect(await browser.read(server)).toMatchObject({ user: 'survivor', large: expect.stringMatching(/^x{300000}$/) });
  }
  await farm.end();
}
