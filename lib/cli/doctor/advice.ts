/** What to change, by what was found. */
import { type Finding, LEAST_BESIDE } from './checkup.js';

/** Bytes of the kernel's buffer below which a burst is lost. */
const ENOUGH_BUFFER = 256 * 1024;
/** Ms of difference between two clocks: NTP keeps them far closer. */
const MUCH_SKEW_MS = 1000;

/** This host, beside what was found about the others. */
export interface Own {
  readonly receiveBufferSize: number;
  readonly maxDatagramSize: number;
  readonly findings: readonly Finding[];
}

/** @returns a line for each problem; none if there is nothing to change */
export function adviceFor({ receiveBufferSize, maxDatagramSize, findings }: Own): string[] {
  const own =
    receiveBufferSize > 0 && receiveBufferSize < ENOUGH_BUFFER ? [buffer('This host', receiveBufferSize)] : [];
  return [...own, ...findings.flatMap((finding) => adviceOn(finding, maxDatagramSize))];
}

function adviceOn(finding: Finding, maxDatagramSize: number): string[] {
  const { name, address, roundTripMs, answered, isWholeDatagram, datagramBytes, isStreamOpen } = finding;
  if (roundTripMs === null) {
    return [
      `${name} is heard, and does not answer: datagrams from here to ${address}, or from there to here, do not arrive. Let UDP through between the hosts, both ways, on all ports above 1023 and on the farm's own.`,
    ];
  }
  const advice: string[] = [];
  if (answered < 1) {
    advice.push(
      `${name} answered ${Math.round(answered * 100)} % of the questions within a second: datagrams to or from ${address} are lost, or it is too busy. Look at the network, at its CPU, and at its receive buffer.`,
    );
  }
  if (!isWholeDatagram) {
    // No more than is known to have passed.
    const passed = datagramBytes + LEAST_BESIDE;
    advice.push(
      datagramBytes === 0
        ? `To and from ${name} only the smallest datagrams get through: a firewall or a tunnel drops the others. Let UDP of up to ${maxDatagramSize} bytes through.`
        : `To and from ${name} large datagrams do not get through: its path's MTU is smaller than ${maxDatagramSize + 28}, and fragments are dropped. Set transport.maxDatagramSize (--max-datagram-size) to ${Math.max(512, passed)} in all processes, or raise the MTU.`,
    );
  }
  if (!isStreamOpen) {
    advice.push(
      `TCP to or from ${name} fails: values above about 1.3 kB can't be written. Let TCP through between the hosts, to the port that transport.streamPort (--stream-port) names; by default it takes any.`,
    );
  }
  const { aheadMs, receiveBufferSize } = finding;
  if (aheadMs !== null && Math.abs(aheadMs) > MUCH_SKEW_MS) {
    const off = `${(Math.abs(aheadMs) / 1000).toFixed(1)} s ${aheadMs > 0 ? 'ahead of' : 'behind'}`;
    advice.push(
      `The clock of ${name} is ${off} this host's: set both by NTP. From half of maxClockSkewMs on (5 s of 10 s), nothing is read or written.`,
    );
  }
  if (receiveBufferSize !== null && receiveBufferSize > 0 && receiveBufferSize < ENOUGH_BUFFER) {
    advice.push(buffer(name, receiveBufferSize));
  }
  return advice;
}

function buffer(who: string, bytes: number): string {
  return `${who} has ${sizeOf(bytes)} to receive datagrams into, and loses those of a burst: raise it there (Linux: sysctl -w net.core.rmem_max=4194304).`;
}

export function sizeOf(bytes: number): string {
  return bytes >= 2 ** 20 ? `${(bytes / 2 ** 20).toFixed(1)} MiB` : `${Math.round(bytes / 1024)} KiB`;
}
