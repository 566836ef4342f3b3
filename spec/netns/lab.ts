/**
 * Hosts and a switch between them, on this machine: each host is a network namespace, the switch a bridge. To be used in
 * a network namespace of one's own, with the rights to set it up (see run.js). Nothing of it outlives this process: each
 * namespace is held by a process that ends with its standard input.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { promisify } from 'node:util';

const SWITCH = 'switch';
/** A bucket that holds less than any packet lets none through. */
const NOTHING = ['tbf', 'rate', '8bit', 'burst', '1b', 'limit', '1b'];

/** What the machine has, beside what is needed anyway; run.js finds out. */
export interface Tools {
  /** Can block one direction. */
  readonly tbf: boolean;
  /** Can lose, delay and reorder. */
  readonly netem: boolean;
  /** Can lose. */
  readonly nft: boolean;
}

export interface Host {
  readonly address: string;
  /** The switch's end of its cable. */
  readonly port: string;
  readonly namespace: string;
  /** Of the process that holds the namespace. */
  readonly holder: number;
  /** Where a server of this host is asked, past the network. */
  readonly socket: string;
}

export class Lab {
  readonly #directory: string;
  readonly #holders: ChildProcess[] = [];
  readonly hosts: Host[] = [];

  private constructor(directory: string) {
    this.#directory = directory;
  }

  /** @param directory for the sockets of its hosts */
  static async open(size: number, directory: string): Promise<Lab> {
    const lab = new Lab(directory);
    try {
      await ip('link', 'add', SWITCH, 'type', 'bridge');
      await ip('link', 'set', SWITCH, 'up');
      for (let number = 1; number <= size; number += 1) await lab.#addHost(number);
      return lab;
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  /** Takes the switch away, and the namespaces with their holders. */
  async close(): Promise<void> {
    for (const holder of this.#holders) {
      const ended = once(holder, 'exit');
      if (holder.kill()) await ended;
    }
    await ip('link', 'delete', SWITCH).catch(() => undefined);
  }

  at(index: number): Host {
    const host = this.hosts[index];
    if (host === undefined) throw new Error(`There is no host ${index}.`);
    return host;
  }

  /** The switch carries nothing from or to that host, which can't see why. */
  async unplug({ port }: Host): Promise<void> {
    await ip('link', 'set', port, 'nomaster');
  }

  async plug({ port }: Host): Promise<void> {
    await ip('link', 'set', port, 'master', SWITCH);
  }

  /** The cable is out: the host's interface says so itself. */
  async pull({ port }: Host): Promise<void> {
    await ip('link', 'set', port, 'down');
  }

  async push({ port }: Host): Promise<void> {
    await ip('link', 'set', port, 'up');
  }

  /** Host and switch get another cable, and the host's interface is another one, of the same name and address. */
  async replaceCable(host: Host): Promise<void> {
    await ip('link', 'delete', host.port);
    await this.#connect(host);
  }

  /** Nothing comes to that host any more; what it sends arrives. */
  async deafen({ port }: Host): Promise<void> {
    await run('tc', 'qdisc', 'add', 'dev', port, 'root', ...NOTHING);
  }

  async undeafen({ port }: Host): Promise<void> {
    await run('tc', 'qdisc', 'delete', 'dev', port, 'root');
  }

  /** Nothing that this host sends arrives; what is sent to it does. */
  async silence(host: Host): Promise<void> {
    await inside(host, 'tc', 'qdisc', 'add', 'dev', 'eth0', 'root', ...NOTHING);
  }

  async unsilence(host: Host): Promise<void> {
    await inside(host, 'tc', 'qdisc', 'delete', 'dev', 'eth0', 'root');
  }

  /** The switch loses a share of what each host sends, 0..100 %; with netem it delays and reorders the rest. */
  async makePoor(percent: number, tools: Tools): Promise<void> {
    if (tools.netem) {
      for (const host of this.hosts) {
        const how = ['loss', `${percent}%`, 'delay', '5ms', '4ms', 'duplicate', '2%'];
        await inside(host, 'tc', 'qdisc', 'add', 'dev', 'eth0', 'root', 'netem', ...how);
      }
      return;
    }
    await run('nft', 'add table netdev lab');
    for (const { port } of this.hosts) {
      await run('nft', `add chain netdev lab ${port} { type filter hook ingress device ${port} priority 0; }`);
      await run('nft', `add rule netdev lab ${port} numgen random mod 100 < ${percent} counter drop`);
    }
  }

  /** @returns the packets that were lost on purpose */
  async makeGood(tools: Tools): Promise<number> {
    if (!tools.netem) {
      const rules = await run('nft', 'list table netdev lab');
      await run('nft', 'delete table netdev lab');
      return sum(rules, /counter packets (\d+)/g);
    }
    let lost = 0;
    for (const host of this.hosts) {
      lost += sum(await inside(host, 'tc', '-s', 'qdisc', 'show', 'dev', 'eth0'), /dropped (\d+)/g);
      await inside(host, 'tc', 'qdisc', 'delete', 'dev', 'eth0', 'root');
    }
    return lost;
  }

  async #addHost(number: number): Promise<void> {
    const holder = spawn('unshare', ['--net', 'cat'], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#holders.push(holder);
    // What `cat` gives back comes from within the namespace; before that there is none.
    holder.stdin.write('\n');
    await Promise.race([
      once(holder.stdout, 'data'),
      once(holder, 'exit').then(() => Promise.reject(new Error('A namespace could not be made.'))),
    ]);
    const host: Host = {
      address: `10.77.0.${number}`,
      port: `port${number}`,
      namespace: `/proc/${holder.pid}/ns/net`,
      holder: Number(holder.pid),
      socket: join(this.#directory, `host-${number}`),
    };
    await inside(host, 'ip', 'link', 'set', 'lo', 'up');
    await this.#connect(host);
    this.hosts.push(host);
  }

  async #connect(host: Host): Promise<void> {
    await ip('link', 'add', host.port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(host.holder));
    await inside(host, 'ip', 'address', 'add', `${host.address}/24`, 'dev', 'eth0');
    await inside(host, 'ip', 'link', 'set', 'eth0', 'up');
    await ip('link', 'set', host.port, 'master', SWITCH, 'up');
  }
}

function ip(...parameters: string[]): Promise<string> {
  return run('ip', ...parameters);
}

function inside({ namespace }: Host, command: string, ...parameters: string[]): Promise<string> {
  return run('nsenter', `--net=${namespace}`, command, ...parameters);
}

/** @throws with what the command said */
async function run(command: string, ...parameters: string[]): Promise<string> {
  return (await promisify(execFile)(command, parameters)).stdout;
}

function sum(text: string, pattern: RegExp): number {
  return [...text.matchAll(pattern)].reduce((total, [, digits]) => total + Number(digits), 0);
}
