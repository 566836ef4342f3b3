import { FAIR_WEATHER, type Weather } from './network.js';
import { type Plan, planOf, TOPICS, type Topic } from './plan.js';
import { Random } from './random.js';

/** Conditions of a run that stand in place of those that its seed draws. */
export type Conditions = Partial<Plan & Weather & Switches>;

interface Switches {
  /** Whether a process that ended once there is a farm is followed by another one on its host. */
  readonly restarts: boolean;
  /** Whether all processes start together, with nothing going wrong until there is a farm. */
  readonly calmStart: boolean;
  /** Whether more processes than there are slots come up in two halves that don't hear each other, and none is to be left out. */
  readonly apartStart: boolean;
}

type Value = number | boolean | Topic;

/** Conditions that have a value which a command line can name. */
const KNOWN: ReadonlyMap<string, 'number' | 'boolean'> = new Map(
  Object.entries({
    ...planOf(new Random('any')),
    ...FAIR_WEATHER,
    restarts: true,
    calmStart: true,
    apartStart: true,
  }).flatMap(([name, value]): [string, 'number' | 'boolean'][] =>
    typeof value === 'number' ? [[name, 'number']] : typeof value === 'boolean' ? [[name, 'boolean']] : [],
  ),
);

/**
 * @param text `name=value,name=value`, values numbers or `true` and `false`
 * @throws Error that says which part can't be read
 */
export function parseConditions(text: string): Conditions {
  const conditions: Record<string, Value> = {};
  for (const part of text.split(',')) {
    const [name = '', value = ''] = part.trim().split('=');
    const topic = TOPICS.find((each) => each === value);
    if (name === 'topic') {
      if (topic === undefined) throw new Error(`topic is one of ${TOPICS.join(', ')}, not ${value || 'nothing'}`);
      conditions.topic = topic;
      continue;
    }
    const type = KNOWN.get(name);
    if (type === undefined) throw new Error(`there is no condition ${name}; there are ${[...KNOWN.keys()].join(', ')}`);
    const read = type === 'boolean' ? { true: true, false: false }[value] : Number(value || Number.NaN);
    if (read === undefined || Number.isNaN(read)) throw new Error(`${name} is a ${type}, not ${value || 'nothing'}`);
    conditions[name] = read;
  }
  return conditions as Conditions;
}

export function formatConditions(conditions: Conditions): string {
  return Object.entries(conditions)
    .map(([name, value]) => `${name}=${value}`)
    .join();
}

/** The weather that a seed draws, but for the parts that are given. */
export function weatherUnder(conditions: Conditions, drawn: Weather): Weather {
  const given = Object.entries(conditions).filter(([name]) => name in FAIR_WEATHER);
  return { ...drawn, ...Object.fromEntries(given) };
}

/** The plan that a seed draws, but for the parts that are given. */
export function planUnder(conditions: Conditions, drawn: Plan): Plan {
  const given = Object.entries(conditions).filter(([name]) => name in drawn);
  return { ...drawn, ...Object.fromEntries(given) };
}
