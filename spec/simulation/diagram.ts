import {
  type AcceptorAnswer,
  type Ballot,
  compareBallots,
  formatBallot,
  type PaxosMessage,
  type Report as RecordReport,
} from '../../lib/paxos/index.js';
import type { CallDone, Chronicle, Entry, Leg, Sent } from './chronicle.js';
import { EPOCH_MS } from './world.js';

export interface DiagramOptions {
  /** All that violates something, in words. */
  readonly violation: string;
  readonly isOfAllKeys?: boolean;
  /** Lines at most; the earliest are left out. */
  readonly maxLines?: number;
}

/** Silence longer than this is folded into one line. */
const SILENCE_MS = 250;
/** What takes longer is shown to come on a line of its own. */
const LATE_MS = 20;
const TIME_WIDTH = 11;

const LEGEND = `     ●──▶  sent, and came before anything else happened there       ●──▷  came later
     ●──x  lost       ●──/  the way was cut       ●──o  came, but no acceptor took it in
     ●──~  under way at the end      ○··▶  comes late       : paused       ▼ call of a client       ▲ its answer
     A message is drawn when it is sent; promises, nacks and answers are sent when a request is handled.
`;

/** One line of the picture: what stands in the columns, and the words beside it. */
interface Row {
  readonly atMs: number;
  readonly cells: readonly string[] | null;
  readonly text: string;
}

/** Draws who said what to whom, as a sequence diagram in text. */
export function draw(chronicle: Chronicle, options: DiagramOptions): string {
  return new Diagram(chronicle, options).text;
}

class Diagram {
  readonly #chronicle: Chronicle;
  readonly #options: DiagramOptions;
  /** `null`: all. */
  readonly #keys: ReadonlySet<string> | null;
  readonly #entries: readonly Entry[];
  readonly #columns: readonly string[];
  readonly #width: number;
  readonly #ballots: readonly Ballot[];
  readonly #endMs: number;

  constructor(chronicle: Chronicle, options: DiagramOptions) {
    this.#chronicle = chronicle;
    this.#options = options;
    this.#keys = options.isOfAllKeys ? null : keysOf(chronicle.entries, options.violation);
    const shown = chronicle.entries.filter((entry) => this.#isShown(entry));
    const beginMs = shown.find(({ kind }) => kind !== 'mark')?.atMs ?? 0;
    // What went wrong before the first call counts as far as it lasted; who started when does not.
    this.#entries = shown.filter((entry) => entry.kind !== 'mark' || entry.atMs >= beginMs || isFault(entry.text));
    const present = new Set(
      this.#entries.flatMap((entry) =>
        entry.kind === 'message' ? [entry.process, ...entry.legs.map(({ to }) => to)] : subjectOf(entry),
      ),
    );
    this.#columns = chronicle.lives
      .map(({ name }) => name)
      .filter((name, index, names) => present.has(name) && names.indexOf(name) === index)
      .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
    this.#width = Math.max(10, ...this.#columns.map((name) => name.length + 3));
    this.#ballots = ballotsOf(this.#entries);
    this.#endMs = Math.max(0, ...chronicle.entries.slice(-1).map(({ atMs }) => atMs));
  }

  get text(): string {
    const keys = this.#keys === null ? 'all keys' : [...this.#keys].join(', ');
    const rows = this.#entries.flatMap((entry) => this.#rows(entry)).sort((a, b) => a.atMs - b.atMs);
    const max = this.#options.maxLines ?? 300;
    const left = rows.slice(-max);
    const lines: string[] = [];
    if (left.length < rows.length) lines.push(`… ${rows.length - left.length} lines before`);
    let lastMs = left[0]?.atMs ?? 0;
    for (const row of left) {
      if (row.atMs - lastMs > SILENCE_MS) lines.push(`${' '.repeat(TIME_WIDTH)}… ${spaced(row.atMs - lastMs)} ms`);
      lastMs = row.atMs;
      lines.push(this.#line(row));
    }
    return [
      `${keys}\n\n${LEGEND}`,
      this.#ballots
        .map((ballot) => `     ${this.#name(ballot)} = ${formatBallot(ballot)} of ${this.#proposer(ballot)}\n`)
        .join(''),
      this.#header,
      ...lines,
      '',
      this.#options.violation,
      ...this.#history,
      '',
    ].join('\n');
  }

  get #header(): string {
    return `${'ms'.padStart(TIME_WIDTH - 2)}  ${this.#columns.map((name) => name.padEnd(this.#width)).join('')}`.trimEnd();
  }

  /** What was asked of the keys and answered, unless the violation tells it already. */
  get #history(): string[] {
    if (this.#keys === null || this.#options.violation.includes('\n')) return [];
    const done = this.#entries.filter((entry): entry is CallDone => entry.kind === 'answer');
    const open = this.#entries.filter(
      (entry) =>
        entry.kind === 'call' && !done.some(({ calledMs, text }) => calledMs === entry.atMs && text === entry.text),
    );
    const lines = [
      ...done.map(({ calledMs, atMs, process, text, answer }) => ({
        fromMs: calledMs,
        line: `  ${calledMs.toFixed(3)}..${atMs.toFixed(3)} ${process} ${text}: ${answer}`,
      })),
      ...open.flatMap((entry) =>
        entry.kind === 'call'
          ? [{ fromMs: entry.atMs, line: `  ${entry.atMs.toFixed(3)}.. ${entry.process} ${entry.text}: no answer` }]
          : [],
      ),
    ];
    return lines.sort((a, b) => a.fromMs - b.fromMs).map(({ line }) => line);
  }

  #isShown(entry: Entry): boolean {
    if (entry.kind === 'mark') return !entry.text.startsWith('VIOLATION');
    if (entry.key?.startsWith('/')) return false;
    if (this.#keys === null) return true;
    // Lists of all keys matter where one is missing from such a list.
    if (entry.key === null || entry.key.endsWith('/')) return this.#options.violation.includes('listed');
    return this.#keys.has(entry.key);
  }

  #rows(entry: Entry): Row[] {
    switch (entry.kind) {
      case 'mark':
        return [{ atMs: entry.atMs, cells: null, text: this.#shorten(entry.text) }];
      case 'call':
        return [this.#at(entry, '▼', `${entry.process}: ${entry.text}`)];
      case 'answer':
        return [this.#at(entry, '▲', `${entry.process}: ${entry.text}: ${entry.answer}`)];
      case 'own': {
        const answer = entry.answer === null ? 'not taken in' : this.#saying(entry.answer);
        return [this.#at(entry, '■', `${this.#saying(entry.request)} to itself: ${answer}${this.#keyNote(entry.key)}`)];
      }
      case 'message':
        return this.#message(entry);
    }
  }

  #at(entry: { readonly atMs: number; readonly process: string }, sign: string, text: string): Row {
    const cells = this.#blank(entry.atMs);
    this.#put(cells, this.#columns.indexOf(entry.process), sign);
    return { atMs: entry.atMs, cells, text };
  }

  #message(sent: Sent): Row[] {
    const { atMs, process, legs } = sent;
    const said = `${this.#saying(sent.message)}${sent.isAgain ? ' again' : ''}${this.#keyNote(sent.key)}`;
    const cells = this.#blank(atMs);
    const notes: string[] = [];
    const late: Row[] = [];
    const from = this.#columns.indexOf(process);
    for (const leg of [...legs].sort((a, b) => this.#distance(from, b) - this.#distance(from, a))) {
      const [firstMs] = leg.arrivedMs;
      const isLate = firstMs !== undefined && firstMs - atMs > LATE_MS;
      this.#arrow(cells, from, this.#columns.indexOf(leg.to), this.#head(sent, leg), '─');
      if (leg.isDamaged) notes.push(`damaged on its way to ${leg.to}`);
      if (leg.repeats > 0) notes.push(`${leg.to} gets it ${leg.repeats === 1 ? 'twice' : `${leg.repeats + 1} times`}`);
      if (firstMs === undefined || !isLate) continue;
      const row = this.#blank(firstMs);
      this.#arrow(row, from, this.#columns.indexOf(leg.to), this.#isIn(sent, leg) ? '▶' : 'o', '·');
      this.#put(row, from, '○');
      late.push({ atMs: firstMs, cells: row, text: `${said}, ${spaced(firstMs - atMs)} ms late` });
    }
    this.#put(cells, from, '●');
    const note = notes.length === 0 ? '' : ` (${notes.join('; ')})`;
    return [{ atMs, cells, text: `${said}${note}` }, ...late];
  }

  #distance(from: number, leg: Leg): number {
    return Math.abs(this.#columns.indexOf(leg.to) - from);
  }

  #isIn(sent: Sent, leg: Leg): boolean {
    const { type } = sent.message;
    return leg.isTaken || !(type === 'prepare' || type === 'accept' || type === 'read' || type === 'commit');
  }

  #head(sent: Sent, leg: Leg): string {
    const [firstMs] = leg.arrivedMs;
    if (firstMs === undefined && leg.isCut) return '/';
    if (firstMs === undefined) return this.#endMs - sent.atMs < LATE_MS ? '~' : 'x';
    if (!this.#isIn(sent, leg)) return 'o';
    const isOvertaken = this.#entries.some(
      (entry) =>
        entry !== sent &&
        entry.kind !== 'mark' &&
        entry.process === leg.to &&
        entry.atMs > sent.atMs &&
        entry.atMs < firstMs,
    );
    return isOvertaken || firstMs - sent.atMs > LATE_MS ? '▷' : '▶';
  }

  #arrow(cells: string[], from: number, to: number, head: string, stroke: string): void {
    if (from < 0 || to < 0) return;
    const start = from * this.#width;
    const end = to * this.#width;
    const step = end > start ? 1 : -1;
    const mirrored = { '▶': '◀', '▷': '◁', '/': '\\' }[head] ?? head;
    for (let at = start + step; at !== end; at += step) {
      if (at + step === end) cells[at] = step > 0 ? head : mirrored;
      else if (at % this.#width === 0) cells[at] = stroke === '─' ? '┼' : '│';
      // The head before a column on the way stays.
      else if (cells[at] === ' ') cells[at] = stroke;
    }
  }

  #put(cells: string[], column: number, sign: string): void {
    if (column >= 0) cells[column * this.#width] = sign;
  }

  /** The columns of those that are there at that time. */
  #blank(atMs: number): string[] {
    const cells = new Array<string>(this.#columns.length * this.#width).fill(' ');
    this.#columns.forEach((name, index) => {
      const isThere = this.#chronicle.lives.some(
        (life) => life.name === name && life.fromMs <= atMs && atMs <= life.toMs,
      );
      cells[index * this.#width] = !isThere ? ' ' : this.#isPaused(name, atMs) ? ':' : '│';
    });
    return cells;
  }

  #isPaused(name: string, atMs: number): boolean {
    return this.#chronicle.pauses.some((pause) => pause.name === name && pause.fromMs < atMs && atMs < pause.toMs);
  }

  #line({ atMs, cells, text }: Row): string {
    const time = atMs.toFixed(3).padStart(TIME_WIDTH - 1);
    if (cells !== null) return `${time} ${cells.join('')} ${text}`;
    const width = this.#columns.length * this.#width;
    const ruler = `══ ${text} `;
    return `${time} ${ruler.padEnd(width, '═')}`;
  }

  #keyNote(key: string): string {
    return this.#keys?.size === 1 ? '' : ` of ${key}`;
  }

  #name(ballot: Ballot): string {
    return `b${this.#ballots.findIndex((each) => compareBallots(each, ballot) === 0) + 1}`;
  }

  #proposer({ proposer }: Ballot): string {
    return this.#chronicle.nameOf(proposer);
  }

  /** With the short names of ballots in place of the long ones. */
  #shorten(text: string): string {
    return this.#ballots.reduce(
      (shortened, ballot) =>
        shortened
          .replaceAll(`${ballot.round}.${ballot.proposer}`, this.#name(ballot))
          .replaceAll(formatBallot(ballot), this.#name(ballot)),
      text,
    );
  }

  #saying(message: PaxosMessage | AcceptorAnswer): string {
    switch (message.type) {
      case 'prepare':
        return `prepare ${this.#name(message.ballot)}`;
      case 'promised':
        return `promise ${this.#name(message.ballot)}: ${this.#reported(message.report)}`;
      case 'nack': {
        const why = message.reason === 'clock' ? 'too far ahead' : `${this.#name(message.promised)} is promised`;
        return `nack ${this.#name(message.ballot)}: ${why}`;
      }
      case 'accept': {
        const { accepted, value, until } = message.proposal;
        const end = value === null || until >= Number.MAX_SAFE_INTEGER ? '' : ` until ${until - EPOCH_MS}`;
        return `accept ${this.#name(accepted)} ${show(value)}${end}`;
      }
      case 'accepted':
        return `accepted ${this.#name(message.ballot)}`;
      case 'commit':
        return `commit ${this.#name(message.ballot)}`;
      case 'read':
        return 'read';
      case 'held':
        return `held: ${this.#reported(message.report)}`;
      case 'enumerate':
        return `enumerate from ${message.shard}`;
      case 'enumerated':
        return `${message.keys.length} keys`;
      case 'compare':
        return 'compare';
      case 'differs':
        return `differs in ${message.shards.length} shards`;
      case 'pull':
        return `pull ${message.keys.join(' ')}`;
      case 'pulled':
        return `copies of ${message.copies.map(({ proposal }) => this.#name(proposal.accepted)).join(' ') || 'nothing'}`;
      case 'transfer':
        return `transfer from ${message.shard}${message.isByName === true ? ' by name' : ''}`;
      case 'transferred':
        return `${message.records.length} records`;
      case 'named':
        return `names of ${message.names.length} records`;
    }
  }

  #reported(report: RecordReport | null): string {
    if (report === null) return 'nothing';
    const { proposal, committed, isHeld } = report;
    const value = isHeld ? 'the same' : show(proposal.value);
    return `${this.#name(proposal.accepted)} ${value}${committed ? ', chosen' : ''}`;
  }
}

/** The keys that a violation is about; `null` if it is about none, or says none. */
function keysOf(entries: readonly Entry[], violation: string): ReadonlySet<string> | null {
  const [first = ''] = violation.split('\n');
  const words = new Set(first.split(/[\s:;,]+/));
  const keys = new Set<string>();
  for (const entry of entries) {
    if (entry.kind === 'mark' || entry.key === null || entry.key.endsWith('/') || entry.key.startsWith('/')) continue;
    if (words.has(entry.key) || words.has(entry.key.slice(entry.key.lastIndexOf('/') + 1))) keys.add(entry.key);
    // A session is told by what was written into it.
    const text = entry.kind === 'answer' ? entry.answer : entry.kind === 'message' ? contentOf(entry.message) : '';
    const life = /"life":"(\w+)"/.exec(text)?.[1];
    if (life !== undefined && words.has(life)) keys.add(entry.key);
  }
  if (keys.size > 0) return keys;
  for (const entry of entries) {
    if (entry.kind !== 'message') continue;
    if (ballotsIn(entry.message).some((ballot) => words.has(formatBallot(ballot)))) keys.add(entry.key);
  }
  return keys.size === 0 ? null : keys;
}

function contentOf(message: PaxosMessage): string {
  return message.type === 'accept' && message.proposal.value !== null
    ? Buffer.from(message.proposal.value).toString()
    : '';
}

function isFault(text: string): boolean {
  return text.startsWith('fault: ');
}

function subjectOf(entry: Entry): string[] {
  return entry.kind === 'mark' ? [] : [entry.process];
}

function ballotsOf(entries: readonly Entry[]): Ballot[] {
  const all = entries.flatMap((entry) => {
    if (entry.kind === 'message') return ballotsIn(entry.message);
    if (entry.kind !== 'own') return [];
    return [...ballotsIn(entry.request), ...(entry.answer === null ? [] : ballotsIn(entry.answer))];
  });
  return [...new Map(all.map((ballot) => [formatBallot(ballot), ballot])).values()].sort(compareBallots);
}

function ballotsIn(message: PaxosMessage): Ballot[] {
  switch (message.type) {
    case 'prepare':
    case 'accepted':
    case 'commit':
      return [message.ballot];
    case 'promised':
      return [message.ballot, ...(message.report === null ? [] : [message.report.proposal.accepted])];
    case 'held':
      return message.report === null ? [] : [message.report.proposal.accepted];
    case 'nack':
      return message.reason === 'clock' ? [message.ballot] : [message.ballot, message.promised];
    case 'accept':
      return [message.proposal.accepted];
    case 'read':
    case 'enumerate':
    case 'enumerated':
    case 'compare':
    case 'differs':
    case 'pull':
    case 'transfer':
      return [];
    case 'pulled':
      return message.copies.map(({ proposal }) => proposal.accepted);
    case 'transferred':
      return message.records.flatMap(({ promised, proposal }) => [promised, ...(proposal ? [proposal.accepted] : [])]);
    case 'named':
      return message.names.flatMap(({ promised, accepted }) => [promised, accepted]);
  }
}

function show(value: Uint8Array | null): string {
  if (value === null) return 'nothing';
  const text = Buffer.from(value).toString().replaceAll('"', '');
  return `"${text.length > 48 ? `${text.slice(0, 47)}…` : text}"`;
}

/** 3 200 */
function spaced(ms: number): string {
  return ms.toFixed(0).replace(/\B(?=(\d{3})+$)/g, ' ');
}
