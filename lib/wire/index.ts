export * from './batch.js';
export { type DecodedBody, decodeBody, decodeEnvelope, decodeMessage } from './decode.js';
export { encodeEnvelope, encodeMessage } from './encode.js';
export { LIMITS } from './format.js';
export { checkSecrets, type Keyring, MIN_SECRET_LENGTH, makeKeyring, type Secrets } from './keyring.js';
export * from './messages.js';
export { type Opened, Opener, type OpenerCounters, type OpenerOptions, type Refusal } from './open.js';
export { type RandomBytes, Sealer, sealedSize } from './seal.js';
export { decodeValue, encodeValue } from './value.js';
