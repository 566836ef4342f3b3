/** What the three ways to reach everybody (multicast, broadcast, a list of peers) have in common. */
import { ConfigError, PaxosError } from '../errors.js';
import { type Family, formatEndpoint } from './endpoints.js';
import { codeOf, messageOf } from './failures.js';
import type { Address } from './transport.js';
import type { Warnings } from './warnings.js';

/** Carries datagrams, one way or another. */
export interface DatagramChannel {
  /** For people: `multicast 239.255.77.77:7707`. */
  readonly description: string;
  /** @throws ConfigError whose message names the remedy; the caller closes the channel then. */
  open(): Promise<Opened>;
  /** Never throws. */
  broadcast(datagram: Uint8Array): void;
  /** Never throws. */
  send(to: Address, datagram: Uint8Array): void;
  /** Settles when all sockets are closed, those that an unfinished `open` made included. Idempotent. */
  close(): Promise<void>;
}

export interface Opened {
  readonly family: Family;
  /** Address for the stream server: as narrow as the user asked for. */
  readonly streamHost: string;
  /** Bytes that the kernel granted. */
  readonly receiveBufferSize: number;
}

/** Counters only rise. */
export interface Counters {
  datagramsSent: number;
  datagramsReceived: number;
  sendErrors: number;
}

/** What a channel is given by the transport. */
export interface ChannelContext {
  /** Bytes to ask of the kernel. */
  readonly receiveBufferSize: number;
  readonly counters: Counters;
  readonly warnings: Warnings;
  /** Aborted when the transport is closed. */
  readonly signal: AbortSignal;
  /** Hands a datagram up. @returns whether it shows where its sender is: see `Receiver.onDatagram` */
  readonly deliver: (datagram: Uint8Array, from: Address) => boolean;
}

export const WILDCARD: Readonly<Record<Family, string>> = { 4: '0.0.0.0', 6: '::' };

const SEND_REMEDIES: Readonly<Record<string, string>> = {
  ENETUNREACH:
    'there is no route from the address this node is bound to; sending goes on and succeeds when the network is back',
  EHOSTUNREACH: 'there is no route; sending goes on and succeeds when the network is back',
  ENETDOWN: 'the network is down; sending goes on and succeeds when it is back',
  EADDRNOTAVAIL: 'the network interface lost its address; sending goes on and succeeds when it is back',
  ENODEV: 'the network interface is gone; sending goes on and succeeds when it is back',
  EPERM: 'a firewall of this machine forbids it; allow this UDP traffic',
  EACCES: 'a firewall or the system forbids it; allow this UDP traffic',
  EMSGSIZE: "the network carries no datagrams of this size; lower option 'transport.maxDatagramSize'",
  ENOBUFS: 'more was sent than the network takes; what was lost is sent again',
  EINVAL:
    "it can not be reached from the address this node is bound to; bind another one by option 'transport.bind' or " +
    "'transport.interface'",
};

/** Counts a datagram that did not leave, and says why. */
export function reportSendError({ counters, warnings }: ChannelContext, to: Address, error: unknown): void {
  counters.sendErrors += 1;
  const remedy = SEND_REMEDIES[codeOf(error)] ?? 'sending goes on';
  warnings.warn('send-failed', `Sending to ${formatEndpoint(to)} failed: ${messageOf(error)}: ${remedy}.`);
}

const OPEN_REMEDIES: Readonly<Record<string, string>> = {
  EADDRINUSE: "another program holds this port; choose another one in option 'transport'",
  EACCES: "the system does not let this user have the port; choose one above 1023 in option 'transport'",
  EPERM: "the system does not let this user have the port; choose one above 1023 in option 'transport'",
  EADDRNOTAVAIL: "this is no address of this machine; correct option 'transport'",
  ENODEV: "there is no such network interface; correct option 'transport.interface'",
  EAFNOSUPPORT: "this machine has no IPv6; use an IPv4 address in option 'transport'",
  EMFILE: 'too many files are open; raise the limit (ulimit -n)',
  ERR_SYSTEM_ERROR:
    'the system does not tell which addresses this machine has: too many files are open (ulimit -n), or it may not (in ' +
    'systemd, RestrictAddressFamilies takes AF_NETLINK too)',
};

/** The error with which `open` rejects: what could not be opened, why, and what to do. */
export function openError(what: string, error: unknown): PaxosError {
  if (error instanceof PaxosError) return error;
  const remedy = OPEN_REMEDIES[codeOf(error)] ?? "check option 'transport'";
  return new ConfigError(`Could not open ${what}: ${messageOf(error)}: ${remedy}.`, { cause: error });
}
