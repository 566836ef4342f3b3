import type { NetworkInterfaceInfo } from 'node:os';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { InterfaceChoice } from '../../lib/transport/interface-choice.js';
import { findInterface, listInterfaces, Subnets } from '../../lib/transport/interfaces.js';

function info(family: 'IPv4' | 'IPv6', cidr: string, internal = false): NetworkInterfaceInfo {
  const common = { address: cidr.split('/')[0] ?? '', netmask: '', mac: '', internal, cidr };
  return family === 'IPv4' ? { family, ...common } : { family, scopeid: 0, ...common };
}

const MACHINE = {
  eth0: [info('IPv4', '10.0.0.5/24'), info('IPv4', '10.0.9.5/24'), info('IPv6', 'fe80::5/64')],
  docker0: [info('IPv4', '172.17.0.1/16')],
  veth7: [info('IPv6', 'fe80::7/64')],
  lo: [info('IPv4', '127.0.0.1/8', true), info('IPv6', '::1/128', true)],
};
const list = (): typeof MACHINE => MACHINE;

describe('interfaces', () => {
  it('are those of one family, the loopback interface first', () => {
    expect(listInterfaces(4, list).map(({ name, selector }) => [name, selector])).toEqual([
      ['lo', '127.0.0.1'],
      ['eth0', '10.0.0.5'],
      ['docker0', '172.17.0.1'],
    ]);
    expect(listInterfaces(6, list).map(({ name }) => name)).toEqual(['lo', 'eth0', 'veth7']);
  });

  it('are all found by their names, though a socket can join only so many of them', () => {
    const many = Object.fromEntries(Array.from({ length: 99 }, (_, i) => [`br${i}`, [info('IPv4', `10.0.${i}.1/24`)]]));
    const some = listInterfaces(4, () => ({ ...many, lo: MACHINE.lo }));
    expect(some[0]?.name).toBe('lo');
    expect(findInterface('br98', some)?.address).toBe('10.0.98.1');
  });

  it.each<[string, string | undefined, string | undefined]>([
    ['eth0', 'eth0', '10.0.0.5'],
    ['10.0.0.5', 'eth0', '10.0.0.5'],
    ['10.0.9.5', 'eth0', '10.0.9.5'],
    ['127.0.0.1', 'lo', '127.0.0.1'],
    ['127.1.2.3', 'lo', '127.0.0.1'],
    ['veth7', undefined, undefined],
    ['10.0.0.6', undefined, undefined],
  ])('%s is %s', (text, name, selector) => {
    const found = findInterface(text, listInterfaces(4, list));
    expect([found?.name, found?.selector]).toEqual([name, selector]);
  });

  it('tell by their subnets who is behind them', () => {
    const four = new Subnets(4, listInterfaces(4, list));
    expect(
      ['10.0.0.77', '10.0.9.1', '172.17.200.1', '127.9.9.9', '8.8.8.8'].map((host) => four.interfaceOf(host)),
    ).toEqual(['eth0', 'eth0', 'docker0', 'lo', undefined]);
    const six = new Subnets(6, listInterfaces(6, list));
    expect(['fe80::1%veth7', 'fe80::1%eth0', '2001:db8::1'].map((host) => six.interfaceOf(host))).toEqual([
      'veth7',
      'eth0',
      undefined,
    ]);
  });
});

describe('the choice of interfaces to multicast through', () => {
  let nowMs = 0;
  let choice: InterfaceChoice;

  beforeEach(() => {
    nowMs = 1000;
    choice = new InterfaceChoice(4, () => nowMs);
    choice.update(listInterfaces(4, list));
    // The first one goes through all, so that the others are found.
    expect(choice.choose()).toEqual(['lo', 'eth0', 'docker0']);
  });

  it('is the loopback interface while nobody else was heard, and all of them once a second', () => {
    for (let i = 0; i < 3; i += 1) expect(choice.choose()).toEqual(['lo']);
    choice.heardFrom('127.0.0.1');
    choice.heardFrom('10.0.0.5');
    expect(choice.choose()).toEqual(['lo']);
    nowMs += 1000;
    expect(choice.choose()).toEqual(['lo', 'eth0', 'docker0']);
    expect(choice.choose()).toEqual(['lo']);
  });

  it('is where another machine was heard, for a minute', () => {
    choice.heardFrom('10.0.9.77');
    expect(choice.choose()).toEqual(['eth0']);
    choice.heardFrom('172.17.0.2');
    expect(choice.choose()).toEqual(['eth0', 'docker0']);
    nowMs += 59_000;
    choice.choose();
    choice.heardFrom('172.17.0.2');
    nowMs += 1000;
    choice.choose();
    expect(choice.choose()).toEqual(['docker0']);
  });

  it('is every network if somebody was heard through a router', () => {
    choice.heardFrom('192.0.2.1');
    expect(choice.choose()).toEqual(['eth0', 'docker0']);
  });

  it('leaves out an interface that takes nothing, till it does', () => {
    choice.heardFrom('10.0.0.77');
    choice.sent('eth0');
    for (let refusals = 1; refusals <= 3; refusals += 1) {
      expect(choice.choose()).toEqual(['eth0']);
      expect(choice.failed('eth0')).toBe(true);
    }
    expect(choice.choose()).toEqual(['lo']);
    choice.heardFrom('10.0.0.77');
    expect(choice.choose()).toEqual(['lo']);
    choice.sent('eth0');
    expect(choice.choose()).toEqual(['eth0']);
  });

  it('keeps an interface that refuses now and then', () => {
    choice.heardFrom('10.0.0.77');
    for (let time = 0; time < 10; time += 1) {
      choice.sent('eth0');
      choice.failed('eth0');
      choice.failed('eth0');
      expect(choice.choose()).toEqual(['eth0']);
    }
  });

  it('uses the networks where the loopback interface can not multicast', () => {
    expect(choice.failed('lo')).toBe(false);
    expect(choice.choose()).toEqual(['eth0', 'docker0']);
    expect(choice.failed('docker0')).toBe(false);
    expect(choice.choose()).toEqual(['eth0']);
    // Now nobody is reached.
    expect(choice.failed('eth0')).toBe(true);
    expect(choice.choose()).toEqual(['lo', 'eth0', 'docker0']);
  });

  it('forgets interfaces that are gone', () => {
    choice.heardFrom('10.0.0.77');
    choice.update(listInterfaces(4, () => ({ lo: MACHINE.lo })));
    expect(choice.choose()).toEqual(['lo']);
    choice.update(listInterfaces(4, list));
    expect(choice.choose()).toEqual(['lo']);
  });

  it('is the one there is', () => {
    choice.update(listInterfaces(4, () => ({ eth0: MACHINE.eth0 })));
    expect(choice.choose()).toEqual(['eth0']);
    choice.failed('eth0');
    expect(choice.choose()).toEqual(['eth0']);
  });
});
