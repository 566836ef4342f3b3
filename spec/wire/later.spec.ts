import { afterEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Packr, Unpackr } from 'msgpackr';
import type { PaxosNode } from '../../lib/node/node.js';
import { FOREVER } from '../../lib/paxos/index.js';
import type { Transport } from '../../lib/transport/index.js';
import { decodeBody, decodeMessage } from '../../lib/wire/decode.js';
import { encodeEnvelope, encodeMessage } from '../../lib/wire/encode.js';
import { COPY_FIELDS, KEPT_FIELDS, PACK_OPTIONS, TYPE } from '../../lib/wire/format.js';
import { makeKeyring } from '../../lib/wire/keyring.js';
import type { Message } from '../../lib/wire/messages.js';
import { Opener } from '../../lib/wire/open.js';
import { Sealer } from '../../lib/wire/seal.js';
import { Farm, remove, setText, textOf } from '../node/farm.js';
import { envelope as anyEnvelope, MESSAGES } from './arbitrary.js';

/** What a later version may do within this format, and this one has to read past: lib/wire/format.ts has the rule. */

type Fields = unknown[];

const packr = new Packr(PACK_OPTIONS);
const unpackr = new Unpackr(PACK_OPTIONS);
const unpack = (bytes: Uint8Array): Fields => unpackr.unpack(bytes) as Fields;

/** Number of a type that there is not. */
const UNKNOWN_TYPE = 99;

/** Fields of a hello, the last of which is left out where it says nothing. */
const HELLO_FIELDS = 18;

/** Appends to a message of that type, and to all that may be appended to within it. */
function laterOf(type: Message['type'], bytes: Uint8Array): Uint8Array {
  const fields = unpack(bytes);
  if (type === 'hello' && fields.length < HELLO_FIELDS) fields.push(0);
  for (const part of partsOf(type, fields)) part.push('of a later version', 7, null);
  fields.push('of a later version', Uint8Array.of(0xc1), null, ['nested', [1]]);
  return packr.pack(fields);
}

function partsOf(type: Message['type'], fields: Fields): Fields[] {
  const at = (index: number): Fields[] => (Array.isArray(fields[index]) ? [fields[index] as Fields] : []);
  const every = (index: number, step: number): Fields[] =>
    (fields[index] as Fields).filter((part, i): part is Fields => i % step === step - 1 && Array.isArray(part));
  switch (type) {
    case 'prepare':
      return at(6);
    case 'accept':
      return at(4);
    case 'read':
      return at(3);
    case 'promised':
      return at(4).flatMap((report) => [report, report[1] as Fields]);
    case 'held':
      return at(2).flatMap((report) => [report, report[1] as Fields]);
    case 'pulled':
      return every(4, COPY_FIELDS);
    case 'transferred':
      return every(8, KEPT_FIELDS);
    case 'hello':
      return at(8).flatMap(partsOfView);
    case 'vouch':
      return at(2).flatMap(partsOfView);
    case 'form':
      return at(1).flatMap(partsOfView);
    default:
      return [];
  }
}

function partsOfView(view: Fields): Fields[] {
  // The place of the config is filled, so that something may stand behind it.
  if (view.length === 3) view.push(null);
  return [view, ...(view[2] as (Fields | null)[]).filter((holder) => holder !== null)];
}

describe('fields that a later version appended', () => {
  for (const [type, arbitrary] of Object.entries<fc.Arbitrary<Message>>(MESSAGES)) {
    it(`to a message of type ${type}, and to what it contains, are ignored`, () => {
      fc.assert(
        fc.property(arbitrary, (message) => {
          const later = laterOf(message.type, encodeMessage(message));
          expect(later.length).toBeGreaterThan(encodeMessage(message).length);
          expect(decodeMessage(later)).toEqual(message);
        }),
        { numRuns: 60 },
      );
    });
  }

  it('to the envelope are ignored', () => {
    fc.assert(
      fc.property(anyEnvelope, (envelope) => {
        const later = packr.pack([...unpack(encodeEnvelope(envelope)), 'of a later version', [1]]);
        const who = encodeMessage({ type: 'who', request: 1 });
        expect(decodeBody(Buffer.concat([later, who]))).toEqual({
          ok: true,
          envelope,
          messages: [{ type: 'who', request: 1 }],
          skipped: 0,
        });
      }),
    );
  });
});

describe('in a farm amid an upgrade', () => {
  const farm = new Farm();
  afterEach(() => farm.close());

  it('what only the later version knows is skipped and counted, and all else it says is taken', async () => {
    expect(Object.values(TYPE)).not.toContain(UNKNOWN_TYPE);
    const secret = 'of a farm amid an upgrade';
    const rewrite = await makeRewrite(secret);
    // Sealed anew, its own datagrams would seem another's to it.
    farm.hub.fate = ({ from, to }) => ({ delaysMs: from === to ? [] : [0] });
    const inner = farm.hub.transport();
    const transport: Transport = {
      ...inner,
      broadcast: (bytes) => inner.broadcast(rewrite(bytes, false)),
      send: (to, bytes) => inner.send(to, rewrite(bytes, false)),
      sendStream: (to, bytes) => inner.sendStream(to, rewrite(bytes, true)),
    };
    const options = { secret, timeout: 9000 };
    const nodes = [farm.add({ ...options, transport }), farm.add(options), farm.add(options)];
    await Promise.all(nodes.map((node) => node.ready()));
    const [later] = nodes as [PaxosNode];
    for (const [index, node] of nodes.entries()) {
      await node.change(`n/text-${index}`, setText(`of ${index}`, FOREVER));
      await node.change(`n/large-${index}`, setText('large '.repeat(400), FOREVER));
      await node.change(`n/gone-${index}`, setText('gone', FOREVER));
      await later.change(`n/gone-${index}`, remove);
    }
    for (const node of nodes) {
      for (const index of nodes.keys()) {
        expect(textOf(await node.read(`n/text-${index}`))).toBe(`of ${index}`);
        expect(textOf(await node.read(`n/large-${index}`))).toHaveLength(2400);
        expect(textOf(await node.read(`n/gone-${index}`))).toBeNull();
      }
      expect((await node.ids('n')).length).toBe(6);
      expect(node.status()).toMatchObject({ state: 'voter', network: { malformed: 0 } });
    }
    expect(nodes.map((node) => node.status().network.unknownType > 10)).toEqual([false, true, true]);
    expect(farm.warnings).toEqual([]);
  });
});

/** Makes a datagram or frame of this version one of a later version. */
async function makeRewrite(secret: string): Promise<(sealed: Uint8Array, isFrame: boolean) => Buffer> {
  const keyring = await makeKeyring(secret, 'default');
  const random = (size: number): Uint8Array => crypto.getRandomValues(new Uint8Array(size));
  const opener = new Opener({ keyring, randomBytes: random });
  const sealer = new Sealer(keyring, random);
  const frameSealer = new Sealer(keyring, random);
  const news = packr.pack([UNKNOWN_TYPE, 'news', Uint8Array.of(1), [2]]);
  return (sealed, isFrame) => {
    const opened = opener.open(sealed, performance.now());
    if (!opened.ok) throw new Error(opened.reason);
    const body = decodeBody(opened.body);
    if (!body.ok) throw new Error(body.reason);
    const envelope = packr.pack([...unpack(encodeEnvelope(body.envelope)), 'of a later version']);
    const messages = body.messages.map((message) => laterOf(message.type, encodeMessage(message)));
    return (isFrame ? frameSealer : sealer).seal(Buffer.concat([envelope, news, ...messages, news]));
  };
}
