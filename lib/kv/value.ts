/** The codec of values, as this room uses it: the one that travels in questions, too. */
export { decodeValue, encodeValue } from '../wire/value.js';
