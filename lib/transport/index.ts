/** What the other rooms, and users, take from this one. */
import { parseTransportOption, type TransportOption } from './options.js';
import type { Transport } from './transport.js';
import { UdpTransport, type UdpTransportLimits } from './udp.js';

export {
  type BroadcastOptions,
  type CommonTransportOptions,
  type MulticastOptions,
  type PeersOptions,
  parseTransportOption,
  type TransportOption,
  type TransportSettings,
  type UdpSettings,
} from './options.js';
export type { Address, Receiver, Transport, TransportStatus } from './transport.js';
export { DEFAULT_MAX_FRAME_SIZE, UdpTransport, type UdpTransportLimits } from './udp.js';

/**
 * Makes the transport that the user's `transport` option describes; opens nothing yet.
 * @param option undefined for UDP multicast; a `Transport` of the user's own is returned as it is
 * @param limits for the transports of this package; a user's own has its own
 * @throws ConfigError that says which option, what it got and what it takes
 */
export function createTransport(option: TransportOption | undefined, limits: UdpTransportLimits = {}): Transport {
  const settings = parseTransportOption(option);
  return settings.kind === 'custom' ? settings.transport : new UdpTransport(settings, limits);
}
