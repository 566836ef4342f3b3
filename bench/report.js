/** What was measured, for people. */
import { MEMORY, PAXOS, REDIS } from './contestants.js';
import { EXPRESS_ROWS } from './express-level.js';
import { STORE_ROWS } from './store-level.js';
import { count, figure, ratio, renderTable } from './table.js';

const STORES = [PAXOS, REDIS, MEMORY];
const OTHERS = [REDIS, MEMORY];

/** @returns the whole report as text or Markdown */
export function report({ machine, stores, apps }, isMarkdown) {
  const sections = [{ text: about(machine, isMarkdown) }];
  if (stores) sections.push(...ofStores(stores));
  if (apps) sections.push(...ofApps(apps));
  const parts = sections.flatMap(({ title, rows, words, text }) => [
    ...(title ? [isMarkdown ? `### ${title}` : title] : []),
    ...(rows ? [renderTable(rows, { words, isMarkdown })] : []),
    ...(text ? [text] : []),
  ]);
  return `${parts.join('\n\n')}\n`;
}

function about({ date, cores, model, memoryGiB, system, node, versions, sealing, how, calibration, load }, isMarkdown) {
  const [least, most] = calibration.map((ms) => ms.toFixed(1));
  const lines = [
    `${date}; ${cores} cores (${model}), ${memoryGiB} GiB, ${system}; Node ${node}`,
    Object.entries(versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(', '),
    `${how}; the farm's datagrams are ${sealing}`,
    `How quiet it was: work that takes ${least} ms took up to ${most} ms between the rows; load average ${load[0]} before, ${load[1]} after`,
  ];
  return lines.map((line) => (isMarkdown ? `- ${line}.` : `${line}.`)).join('\n');
}

function ofStores({ measurements, datagrams }) {
  const one = STORE_ROWS.filter(({ group }) => group === 'one');
  const all = STORE_ROWS.filter(({ group }) => group === 'all');
  const value = (group, label, store, name) => measurements.median(`${group}: ${label}`, store, name);
  const to = (group, { label, compared = label }, other, name) =>
    ratio(measurements.ratio(`${group}: ${label}`, PAXOS, name, `${group}: ${compared}`, other));

  return [
    {
      title: 'One process drives',
      words: 2,
      rows: [
        ['', '', '1 outstanding: p50 µs', 'p99 µs', '64 outstanding: op/s', 'CPU µs each'],
        ...figuresOf(one, (store, { label }) => [
          value('one', label, store, 'p50'),
          value('one', label, store, 'p99'),
          value('many', label, store, 'perSecond'),
          value('many', label, store, 'cpuMicros'),
        ]),
      ],
    },
    {
      title: `${PAXOS} divided by the others`,
      words: 2,
      rows: [
        ['', '', '1 outstanding: p50', '64 outstanding: op/s', 'CPU'],
        ...one.flatMap((row) =>
          OTHERS.map((other) => [
            row.label,
            `÷ ${other}`,
            to('one', row, other, 'p50'),
            to('many', row, other, 'perSecond'),
            to('many', row, other, 'cpuMicros'),
          ]),
        ),
      ],
    },
    {
      title: 'All three processes drive, 64 outstanding in each',
      words: 2,
      rows: [
        ['', '', 'op/s in all', 'CPU µs each', `op/s ÷ ${REDIS}`, `CPU ÷ ${REDIS}`],
        ...figuresOf(all, (store, { label }) => [
          value('all', label, store, 'perSecond'),
          value('all', label, store, 'cpuMicros'),
        ]).map((cells, index) => {
          const row = all.find(({ label }) => label === cells[0]);
          const isOwn = index % OTHERS.length === 0;
          return [...cells, ...['perSecond', 'cpuMicros'].map((name) => (isOwn ? to('all', row, REDIS, name) : ''))];
        }),
      ],
    },
    {
      title: 'Datagrams of the driving process for each operation',
      words: 1,
      rows: [
        ['', '1 outstanding: sent', 'received', '64 outstanding: sent', 'received'],
        ...datagrams.operations.map(({ label, one, many }) => [
          label,
          ...[one.sent, one.received, many.sent, many.received].map(count),
        ]),
      ],
    },
    {
      text: `Idle, each second: ${datagrams.idle
        .map(
          ({ sent, received }, index) =>
            `process ${index + 1} ${sent.toFixed(1)} sent, ${received.toFixed(1)} received`,
        )
        .join('; ')}. Received are also the process's own multicasts.`,
    },
    { text: trust(measurements) },
  ];
}

function ofApps({ measurements }) {
  const rows = EXPRESS_ROWS.map((row) => ({ ...row, label: `${row.label}, load on ${row.group}` }));
  const id = ({ group, label }) => `${group}: ${label.replace(`, load on ${group}`, '')}`;
  const names = ['perSecond', 'p50', 'p99', 'cpuMicros'];
  return [
    {
      title: 'Express 5, 64 connections',
      words: 2,
      rows: [
        ['', '', 'requests/s', 'p50 ms', 'p99 ms', 'CPU µs each'],
        ...figuresOf(rows, (store, row) => names.map((name) => measurements.median(id(row), store, name))),
      ],
    },
    {
      title: `${PAXOS} divided by the others, Express 5`,
      words: 2,
      rows: [
        ['', '', 'requests/s', 'p50', 'CPU'],
        ...rows.flatMap((row) =>
          OTHERS.filter((other) => row.contestants.includes(other)).map((other) => [
            row.label,
            `÷ ${other}`,
            ...['perSecond', 'p50', 'cpuMicros'].map((name) =>
              ratio(measurements.ratio(id(row), PAXOS, name, id(row), other)),
            ),
          ]),
        ),
      ],
    },
    { text: trust(measurements) },
  ];
}

/** A line of figures for each row and each store that has any. */
function figuresOf(rows, figures) {
  return rows.flatMap((row) =>
    STORES.map((store) => [store, figures(store, row)])
      .filter(([, values]) => values.some(Number.isFinite))
      .map(([store, values]) => [row.label, store, ...values.map(figure)]),
  );
}

/** How far to trust the tables. */
function trust(measurements) {
  const spread = measurements.spread('perSecond').toFixed(2);
  const failures = measurements.failures.map(
    ({ row, contestant, round, errors, messages }) =>
      `${contestant}, ${row}, round ${round}: ${errors} operations failed. ${messages.join('; ')}`,
  );
  return [
    `The same figure of operations a second differed between rounds by a factor of ${spread} (median over the rows).`,
    ...(failures.length > 0 ? failures : ['No operation failed.']),
  ].join('\n');
}
