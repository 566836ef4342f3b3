import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { decodeBody } from '../../lib/wire/decode.js';
import { TYPE } from '../../lib/wire/format.js';
import { type Keyring, makeKeyring } from '../../lib/wire/keyring.js';
import { Opener } from '../../lib/wire/open.js';

/**
 * What a farm of an earlier version said, sealed as it was sent, with what that version meant by it. A farm amid an upgrade
 * consists of both, so each later version has to read it in the same way. How it was recorded: `recorded/README.md`.
 */
interface Recording {
  readonly isFrame: boolean;
  /** Hexadecimal. */
  readonly bytes: string;
  readonly envelope: Record<string, unknown>;
  readonly messages: readonly { readonly type: keyof typeof TYPE }[];
}

const { secret, cluster, recordings } = JSON.parse(
  readFileSync(join(__dirname, 'recorded', 'format-1.json'), 'utf8'),
) as { readonly secret: string; readonly cluster: string; readonly recordings: readonly Recording[] };

let keyring: Keyring;
beforeAll(async () => {
  keyring = await makeKeyring(secret, cluster);
});

/** Fields that came later, with what stands for "not said". */
const CAME_LATER: Readonly<Record<string, object>> = {
  held: { floor: { round: 0, proposer: 0 } },
  hello: { copied: 0 },
};

/** Types that came later. */
const LATER_TYPES = ['ask', 'told', 'named'];

/** Bytes stand as `{ bytes: hex }` in the file. */
function revived(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(revived);
  if (typeof value !== 'object' || value === null) return value;
  const { bytes, ...others } = value as { readonly bytes?: unknown };
  if (typeof bytes === 'string' && Object.keys(others).length === 0) return new Uint8Array(Buffer.from(bytes, 'hex'));
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, revived(each)]));
}

describe('format 1, as an earlier version sent it', () => {
  it('has been recorded with a message of each type that there was', () => {
    const types = new Set(recordings.flatMap(({ messages }) => messages.map(({ type }) => type)));
    expect([...types, ...LATER_TYPES].sort()).toEqual(Object.keys(TYPE).sort());
  });

  it.each(recordings.map((recording, index) => [index, recording] as const))(
    'is read as it was meant: recording %i',
    (_, { bytes, envelope, messages }) => {
      const opener = new Opener({ keyring, randomBytes: (size) => new Uint8Array(size).fill(7) });
      const opened = opener.open(Buffer.from(bytes, 'hex'), 0);
      if (!opened.ok) throw new Error(`not opened: ${opened.reason}`);
      const body = decodeBody(opened.body);
      if (!body.ok) throw new Error(`not read: ${body.reason}`);
      expect(body.skipped).toBe(0);
      expect(body.envelope).toEqual(envelope);
      const meant = (revived(messages) as typeof messages).map((message) => ({
        ...message,
        ...CAME_LATER[message.type],
      }));
      expect(body.messages).toEqual(meant);
    },
  );
});
