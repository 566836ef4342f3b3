/** Real traffic to make hostile traffic from. */
import { decodeBody } from '../../lib/wire/decode.js';
import { type Keyring, makeKeyring } from '../../lib/wire/keyring.js';
import { Opener } from '../../lib/wire/open.js';
import { Farm, increment, remove, setText, until } from '../node/farm.js';

export const SECRET = 'the secret of those who are fuzzed';

export interface Traffic {
  readonly keyring: Keyring;
  /** Sealed, each once, in the order in which they were sent. */
  readonly datagrams: readonly Buffer[];
  /** Sealed too, as they go over a stream. */
  readonly frames: readonly Buffer[];
  /** What was sealed in both. */
  readonly allBodies: readonly Buffer[];
  /** Of these the ones to change. */
  readonly bodies: readonly Buffer[];
}

/** What three voters and a learner say to each other from their start to their end, with all that clients can ask. */
export async function recordTraffic(): Promise<Traffic> {
  const farm = new Farm();
  const sent = new Map<string, { readonly isFrame: boolean; readonly bytes: Buffer }>();
  let deaf = 0;
  farm.hub.fate = ({ bytes, isFrame, to }) => {
    if (to === deaf) return { delaysMs: [] };
    const copy = Buffer.from(bytes);
    sent.set(copy.toString('latin1'), { isFrame, bytes: copy });
    // One of many is late, so that some questions are repeated.
    return { delaysMs: [sent.size % 20 === 19 ? 50 : 0] };
  };
  const options = { secret: SECRET, cluster: 'default', timeout: 9000 };
  const nodes = await farm.start(3, options);
  const late = farm.add({ ...options, slot: false });
  await late.ready();
  const inAnHour = Date.now() + 3_600_000;
  const all = [...nodes, late];
  await Promise.all(
    all.flatMap((node, index) => [
      ...Array.from({ length: 6 }, () => node.change('b/contended', increment(inAnHour))),
      node.change(`b/text-${index}`, setText(`text of ${index}`, inAnHour)),
      // Too large for a datagram, small enough to be changed at many places.
      node.change(`b/large-${index}`, setText('large '.repeat(400), inAnHour)),
      node.change(`b/é😀-${index}`, setText('é😀', inAnHour)),
      node.change(`b/brief-${index}`, setText('over at once', Date.now() + 20)),
      node.read('b/nothing'),
    ]),
  );
  await Promise.all(all.flatMap((node) => [node.read('b/contended'), node.read('b/large-0'), node.ids('b')]));
  await Promise.all(all.map((node, index) => node.change(`b/text-${index}`, remove)));
  // Questions of the application: answered at once, late, in a frame, by a failure, by nobody.
  for (const node of all) {
    node.answer('echo', (payload) => payload);
    node.answer('late', () => new Promise((resolve) => setTimeout(resolve, 100, new Map([[1n, new Date()]]))));
    node.answer('fail', () => Promise.reject(new Error('of the handler')));
  }
  const asked = all.flatMap((node) => [
    ...['a', { b: [1, -0] }, 'large '.repeat(400)].map((payload) => node.ask('echo', payload, { to: 'all' })),
    ...['late', 'fail', 'none'].map((topic) => node.ask(topic)),
  ]);
  await Promise.all(asked);
  // What one voter misses it fetches from the others.
  const [first, , third] = nodes;
  deaf = 3;
  await first?.change('b/missed', setText('missed', inAnHour));
  deaf = 0;
  await until(() => (third?.status().repair.copied ?? 0) > 0);
  await farm.close();

  const keyring = await makeKeyring(SECRET, 'default');
  const opener = new Opener({ keyring, randomBytes: (size) => new Uint8Array(size).fill(7) });
  const bodies: Buffer[] = [];
  let ms = 0;
  for (const { bytes } of sent.values()) {
    // Slowly, so that none is refused because there are too many.
    ms += 1000;
    const opened = opener.open(bytes, ms);
    if (!opened.ok) throw new Error(`recorded what does not open: ${opened.reason}`);
    bodies.push(opened.body);
  }
  const list = [...sent.values()];
  return {
    keyring,
    datagrams: list.filter(({ isFrame }) => !isFrame).map(({ bytes }) => bytes),
    frames: list.filter(({ isFrame }) => isFrame).map(({ bytes }) => bytes),
    allBodies: bodies,
    bodies: varied(bodies),
  };
}

/** Many bodies are alike; so that each kind is changed, there are some of each size, and of each type of message. */
function varied(bodies: readonly Buffer[]): Buffer[] {
  const counts = new Map<string | number, number>();
  const isAmongFirst = (shape: string | number, most: number): boolean => {
    const count = (counts.get(shape) ?? 0) + 1;
    counts.set(shape, count);
    return count <= most;
  };
  return bodies.filter((body) => {
    const decoded = decodeBody(body);
    const types = decoded.ok ? decoded.messages.map(({ type }) => type) : [];
    const isOfRareType = types.map((type) => isAmongFirst(type, 10)).includes(true);
    return isAmongFirst(body.length >> 5, 40) || isOfRareType;
  });
}
