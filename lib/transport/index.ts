/** What the other rooms, and users, take from this one. */
import { parseTransportOption, type TransportOption } from './options.js';
import { type NetworkConditions, PoorNetwork, type PoorNetworkOptions } from './poor.js';
import type { Transport } from './transport.js';
import { MAX_MAX_FRAME_SIZE, UdpTransport, type UdpTransportLimits } from './udp.js';

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
export {
  type NetworkConditions,
  type NetworkCut,
  type NetworkDirection,
  PoorNetwork,
  type PoorNetworkCounters,
  type PoorNetworkOptions,
} from './poor.js';
export type { Address, Receiver, Transport, TransportStatus } from './transport.js';
export { DEFAULT_MAX_FRAME_SIZE, MAX_MAX_FRAME_SIZE, UdpTransport, type UdpTransportLimits } from './udp.js';

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

/**
 * A transport over a network that is as poor as you like, for development and tests: it loses, doubles, delays and
 * reorders datagrams and frames, and cuts this process off from the others, all of it switchable while it runs.
 *
 * @param transport what the `transport` option of a store takes; undefined for UDP multicast
 * @param conditions none: it is as good as the network below
 * @throws ConfigError that says which option, what it got and what it takes
 * @example
 * const network = poorNetwork({ multicast: '239.1.2.3:5000' }, { loss: 0.1, delayMs: 5, jitterMs: 20 });
 * const store = new PaxosStore({ transport: network });
 * network.cutOff();            // this process and the others hear nothing of each other
 * network.heal();
 * network.set({ loss: 0.3 });  // other conditions, in place of the first
 */
export function poorNetwork(
  transport?: TransportOption,
  conditions?: NetworkConditions,
  options?: PoorNetworkOptions,
): PoorNetwork {
  return new PoorNetwork(createTransport(transport, { maxFrameSize: MAX_MAX_FRAME_SIZE }), conditions, options);
}
