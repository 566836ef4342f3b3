/** Secrets, and the keys that come from them. */
import { createHash, hkdfSync, scrypt } from 'node:crypto';
import { ConfigError } from '../errors.js';

/** What a user may give: one secret; several, of which the first seals and all open; or none. */
export type Secrets = string | readonly string[] | false | undefined;

/** Shortest secret taken, in characters. */
export const MIN_SECRET_LENGTH = 16;

/** Most secrets taken: each makes a stranger's first datagram dearer to look at. */
export const MAX_SECRETS = 8;

/** Bytes of the random salt that each sealer draws. */
export const SALT_SIZE = 16;

export const KEY_ID_SIZE = 8;

export const CLUSTER_TAG_SIZE = 8;

/** What seals and opens for one cluster, stretched once at start. Holds key material: never log it. */
export interface Keyring {
  /** Tells clusters on one network apart; public. */
  readonly clusterTag: Buffer;
  /** One a secret, 32 bytes each; at least one. */
  readonly stretched: readonly [Buffer, ...Buffer[]];
}

/** Sealing without a secret has one format with sealing by a secret; all the world knows this one. */
const PUBLIC_SECRET = 'connect-paxos without a secret';

/** Memory-hard, about 90 ms and 32 MiB a secret: what a guess at a poor secret costs an attacker too. */
const STRETCHING = { N: 2 ** 15, r: 8, p: 1, maxmem: 2 ** 26 };

/**
 * Checks what the user gave as secret.
 * @returns the secrets, the sealing one first; none for an unsealed cluster
 * @throws ConfigError for a secret that is no string or shorter than {@link MIN_SECRET_LENGTH}, for an empty list and
 *   for more than {@link MAX_SECRETS}. The message names the place in the list, never the secret.
 */
export function checkSecrets(secrets: Secrets): readonly string[] {
  if (secrets === false || secrets === undefined) return [];
  const list: readonly unknown[] = Array.isArray(secrets) ? secrets : [secrets];
  if (list.length === 0) {
    throw new ConfigError('The list of secrets is empty. Give at least one secret, or `false` for none.');
  }
  if (list.length > MAX_SECRETS) {
    throw new ConfigError(`There are ${list.length} secrets; at most ${MAX_SECRETS} are taken. Drop the oldest.`);
  }
  return list.map((secret, index) => {
    const which = list.length > 1 ? `Secret ${index + 1} of ${list.length}` : 'The secret';
    if (typeof secret !== 'string') throw new ConfigError(`${which} is not a string.`);
    if (secret.length >= MIN_SECRET_LENGTH) return secret;
    throw new ConfigError(
      `${which} has ${secret.length} characters; at least ${MIN_SECRET_LENGTH} are needed. ` +
        `A good one: node -p "crypto.randomBytes(32).toString('base64')"`,
    );
  });
}

/**
 * Stretches the secrets of a cluster. Once a process, at start: it takes about 90 ms of another thread a secret.
 * @param cluster name of the cluster; the same secret gives other keys in another cluster
 * @throws ConfigError as {@link checkSecrets}
 */
export async function makeKeyring(secrets: Secrets, cluster: string): Promise<Keyring> {
  const list = checkSecrets(secrets);
  const clusterTag = sha256(`connect-paxos cluster v1\0${cluster}`).subarray(0, CLUSTER_TAG_SIZE);
  const [first, ...others] = await Promise.all(list.map((secret) => stretch(secret, cluster)));
  // Nothing is gained by stretching what everybody knows.
  return { clusterTag, stretched: first ? [first, ...others] : [sha256(`${PUBLIC_SECRET}\0${cluster}`)] };
}

/** The key of the sealer that drew `salt`. */
export function deriveKey(stretched: Buffer, salt: Uint8Array): Buffer {
  return Buffer.from(hkdfSync('sha256', stretched, salt, 'connect-paxos seal v1', 32));
}

/** Commits to secret and salt, and tells nothing of either: who lacks the secret can't make one for a salt of his. */
export function deriveKeyId(stretched: Buffer, salt: Uint8Array): Buffer {
  return Buffer.from(hkdfSync('sha256', stretched, salt, 'connect-paxos key id v1', KEY_ID_SIZE));
}

function stretch(secret: string, cluster: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    // NFC: the same secret typed on two systems is the same secret.
    scrypt(secret.normalize('NFC'), `connect-paxos secret v1\0${cluster}`, 32, STRETCHING, (error, key) =>
      error ? reject(error) : resolve(key),
    );
  });
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
