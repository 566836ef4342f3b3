/**
 * One random run of a farm, and the judgement on it: steps made up by fast-check are carried out, then all faults end,
 * what is under way is brought to its end, and all keys are read. The history has to be linearizable, and the witness
 * has to agree.
 */
import fc from 'fast-check';
import { FOREVER } from '../../lib/paxos/index.js';
import { append, decode, destroy, observe, put, set, touch } from './changes.js';
import { EPOCH_MS, Farm, type Mutation, type Operation, seeded } from './harness.js';
import { type Call, isLinearizable, type Model, type Transition } from './linearizable.js';
import { Violation, Witness } from './witness.js';

export type Verb = 'get' | 'set' | 'put' | 'append' | 'touch' | 'destroy' | 'settle';

export type Step =
  | {
      readonly do: 'call';
      readonly process: number;
      readonly key: number;
      readonly verb: Verb;
      readonly lifeMs: number;
    }
  | { readonly do: 'deliver' | 'drop' | 'double'; readonly pick: number }
  /** The oldest messages arrive, and the answers to them. */
  | { readonly do: 'flow'; readonly count: number }
  /** All that is on its way to or from a slot is lost. */
  | { readonly do: 'cut'; readonly slot: number }
  | { readonly do: 'advance'; readonly ms: number }
  /** A process dies; another one starts in its place. */
  | { readonly do: 'crash'; readonly process: number }
  | { readonly do: 'forget'; readonly slot: number };

/** What kind of runs are made. */
export interface Profile {
  readonly name: string;
  readonly sizes: readonly number[];
  readonly verbs: readonly Verb[];
  readonly keys: number;
  readonly maxClockSkewMs: number;
  readonly timeoutMs: number;
  /** Lives of values; `null` for ever. */
  readonly lifeMs: readonly [number, number] | null;
  /** Longest leap of time between two steps, now and then. */
  readonly leapMs: number;
  readonly forgets: boolean;
  readonly maxSteps: number;
}

export interface Trial {
  readonly size: number;
  readonly seed: number;
  /** Clocks' offsets in S/2, −1..1; by slot, then by process. */
  readonly skews: readonly number[];
  /** Whether processes share the machines of the slots, or stand alone. */
  readonly areVoters: boolean;
  readonly shortensLineage: boolean;
  readonly steps: readonly Step[];
}

const PROPOSERS = 3;
/** Bounds the search for an order. */
const MAX_CALLS_PER_KEY = 14;

export function trialOf(profile: Profile): fc.Arbitrary<Trial> {
  const [least, most] = profile.lifeMs ?? [0, 0];
  const pick = fc.nat(1000);
  const process = fc.nat(PROPOSERS - 1);
  const steps: fc.WeightedArbitrary<Step>[] = [
    {
      weight: 9,
      arbitrary: fc.record({
        do: fc.constant('call' as const),
        process,
        key: fc.nat(profile.keys - 1),
        verb: fc.constantFrom(...profile.verbs),
        lifeMs: fc.integer({ min: least, max: most }),
      }),
    },
    { weight: 50, arbitrary: fc.record({ do: fc.constant('deliver' as const), pick }) },
    { weight: 10, arbitrary: fc.record({ do: fc.constant('drop' as const), pick }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('double' as const), pick }) },
    { weight: 14, arbitrary: fc.record({ do: fc.constant('flow' as const), count: fc.integer({ min: 2, max: 20 }) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('cut' as const), slot: fc.nat(8) }) },
    { weight: 8, arbitrary: fc.record({ do: fc.constant('advance' as const), ms: fc.integer({ min: 1, max: 80 }) }) },
    {
      weight: 2,
      arbitrary: fc.record({ do: fc.constant('advance' as const), ms: fc.integer({ min: 1, max: profile.leapMs }) }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('crash' as const), process }) },
  ];
  if (profile.forgets) {
    steps.push({ weight: 3, arbitrary: fc.record({ do: fc.constant('forget' as const), slot: fc.nat(8) }) });
  }
  return fc.record({
    size: fc.constantFrom(...profile.sizes),
    seed: fc.nat(),
    skews: fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 12, maxLength: 12 }),
    areVoters: fc.boolean(),
    shortensLineage: fc.boolean(),
    steps: fc.array(fc.oneof(...steps), { minLength: 10, maxLength: profile.maxSteps, size: 'max' }),
  });
}

export interface Judged {
  readonly farm: Farm;
  /** Histories that the search for an order gave up on. */
  readonly undecided: number;
}

/** @throws Violation if a rule was broken */
export function judge(profile: Profile, trial: Trial, mutation?: Mutation): Judged {
  let undecided = 0;
  const keys = Array.from({ length: profile.keys }, (_, index) => `k${index}`);
  const farm = new Farm({
    size: trial.size,
    maxClockSkewMs: profile.maxClockSkewMs,
    timeoutMs: profile.timeoutMs,
    retransmitMs: 50,
    random: seeded(trial.seed),
    shortensLineage: trial.shortensLineage,
    mutation,
  });
  const halfSkewMs = profile.lifeMs === null ? 0 : profile.maxClockSkewMs / 2;
  const skewMs = (index: number): number => Math.trunc((trial.skews[index] ?? 0) * halfSkewMs);
  for (const site of farm.sites) site.clock.offsetMs = skewMs(site.slot - 1);
  const start = (index: number): void => {
    const site = trial.areVoters ? (farm.sites[index] ?? null) : null;
    const process = farm.addProcess(`${'ABC'[index]}${farm.processes.length}`, site);
    if (site === null) process.clock.offsetMs = skewMs(9 + index);
    current[index] = process.name;
  };
  const current: string[] = [];
  for (let index = 0; index < PROPOSERS; index += 1) start(index);

  const witness = new Witness(farm, keys);
  const inputs = new Map<Operation, Input>();
  const writers = new Map<string, Operation>();
  const call = (processIndex: number, keyIndex: number, verb: Verb, lifeMs: number): void => {
    const key = keys[keyIndex] ?? 'k0';
    if (farm.operations.filter((operation) => operation.key === key).length >= MAX_CALLS_PER_KEY && verb !== 'get')
      return;
    const process = farm.process(current[processIndex] ?? '');
    const until = profile.lifeMs === null ? FOREVER : Math.floor(farm.now(process.clock).wallMs) + lifeMs;
    const token = `t${farm.operations.length}`;
    const operation =
      verb === 'get'
        ? farm.read(process, key)
        : farm.change(process, key, `${verb} ${token}`, changeOf(verb, token, until));
    inputs.set(operation, { verb, token, untilMs: profile.lifeMs === null ? FOREVER : until - EPOCH_MS });
    writers.set(token, operation);
  };

  for (const step of trial.steps) {
    switch (step.do) {
      case 'call':
        call(step.process, step.key, step.verb, step.lifeMs);
        break;
      case 'deliver':
      case 'drop':
      case 'double': {
        const envelope = farm.inFlight[step.pick % farm.inFlight.length];
        if (envelope === undefined) break;
        if (step.do === 'deliver') farm.deliver(envelope);
        else if (step.do === 'drop') farm.remove(envelope);
        else farm.deliverCopy(envelope);
        break;
      }
      case 'flow':
        flow(farm, step.count);
        break;
      case 'cut': {
        const slot = String((step.slot % farm.size) + 1);
        for (const envelope of farm.inFlight.filter(({ from, to }) => from === slot || to === slot))
          farm.remove(envelope);
        break;
      }
      case 'advance':
        farm.advance(step.ms);
        break;
      case 'crash': {
        farm.crash(farm.process(current[step.process] ?? ''));
        start(step.process);
        break;
      }
      case 'forget':
        farm.collect(farm.site((step.slot % farm.size) + 1));
        break;
    }
  }

  // From here on nothing is lost: what is under way ends, and what the keys hold is read, by different majorities.
  heal(farm);
  for (let turn = 0; turn < PROPOSERS; turn += 1) {
    for (const keyIndex of keys.keys()) call(turn, keyIndex, 'get', 0);
    heal(farm);
    const process = farm.process(current[turn] ?? '');
    const last = farm.operations.at(-1);
    if (last?.process === process && last.outcome?.kind !== 'done') {
      throw new Violation(`${last.label} gave ${last.outcome?.kind} though all was well`);
    }
  }

  witness.nothingFromNobody();
  const isGrowing = profile.verbs.every((verb) => verb === 'get' || verb === 'append' || verb === 'settle');
  for (const key of keys) {
    witness.noDoubles(key);
    witness.noResurrection(key, writers);
    if (isGrowing && profile.lifeMs === null) witness.nothingLost(key);
    const history = historyOf(farm, key, inputs);
    // With ends to values, an operation of unknown outcome may have done more than its token tells.
    const relevant = profile.lifeMs === null ? lessUnseen(history) : history;
    const verdict = isLinearizable(relevant, modelOf(halfSkewMs), 20_000);
    if (verdict === null) undecided += 1;
    if (verdict === false) {
      throw new Violation(`not linearizable: ${JSON.stringify(history)}`);
    }
  }
  return { farm, undecided };
}

function flow(farm: Farm, count: number): void {
  for (let turn = 0; turn < count; turn += 1) {
    const oldest = farm.inFlight[0];
    if (oldest === undefined) return;
    farm.deliver(oldest);
  }
}

function heal(farm: Farm): void {
  for (let turn = 0; turn < 1000; turn += 1) {
    flow(farm, Number.POSITIVE_INFINITY);
    if (farm.processes.every((process) => process.isPaused || process.running.size === 0)) return;
    farm.advance(10);
  }
  throw new Violation('operations do not end though nothing is lost');
}

function changeOf(verb: Verb, token: string, until: number) {
  switch (verb) {
    case 'set':
      return set(token, until);
    case 'put':
      return put(token, until);
    case 'append':
      return append(token, until);
    case 'touch':
      return touch(until);
    case 'destroy':
      return destroy();
    default:
      return observe();
  }
}

interface Input {
  readonly verb: Verb;
  readonly token: string;
  readonly untilMs: number;
}

function historyOf(farm: Farm, key: string, inputs: ReadonlyMap<Operation, Input>): Call<Input>[] {
  const history: Call<Input>[] = [];
  for (const operation of farm.operations) {
    const input = inputs.get(operation);
    const { outcome } = operation;
    if (operation.key !== key || input === undefined || outcome?.kind === 'no-quorum') continue;
    if (outcome?.kind === 'threw') throw outcome.error;
    const isKnown = outcome?.kind === 'done';
    // An answer that never came, of something that changes nothing, says nothing.
    if (!isKnown && (input.verb === 'get' || input.verb === 'settle')) continue;
    const output = isKnown ? (input.verb === 'get' ? decode(outcome.state.value) : String(outcome.result)) : null;
    history.push({
      input,
      output,
      invoked: operation.invoked,
      returned: isKnown ? operation.returned : Number.POSITIVE_INFINITY,
    });
  }
  return history;
}

/** Less the writes of unknown outcome whose token nobody has seen: they may as well not have happened. */
function lessUnseen(history: readonly Call<Input>[]): Call<Input>[] {
  const seen = new Set(history.flatMap(({ output }) => output?.split(',') ?? []));
  return history.filter(({ output, input }) => output !== null || input.verb === 'destroy' || seen.has(input.token));
}

/** The register as one machine. States read `until text`, or are empty when absent. */
function modelOf(halfSkewMs: number): Model<Input> {
  const written = (text: string, untilMs: number, output: string): Transition[] => [
    { state: `${untilMs} ${text}`, output },
    // Its own end may come before it takes effect.
    ...(untilMs === FOREVER ? [] : [{ state: '', output: 'late' }]),
  ];
  const apply = (state: string, { verb, token, untilMs }: Input): Transition[] => {
    const text = state === '' ? null : state.slice(state.indexOf(' ') + 1);
    switch (verb) {
      case 'get':
      case 'settle':
        return [{ state, output: text ?? '-' }];
      case 'set':
        return written(token, untilMs, 'ok');
      case 'put':
        return text === null ? written(token, untilMs, token) : [{ state, output: text }];
      case 'append': {
        const list = text === null ? token : `${text},${token}`;
        return written(list, untilMs, list);
      }
      case 'touch':
        return text === null ? [{ state, output: '-' }] : written(text, untilMs, text);
      case 'destroy':
        return [{ state: '', output: 'ok' }];
    }
  };
  return {
    initial: '',
    step: (state, call) => {
      const untilMs = state === '' ? FOREVER : Number(state.slice(0, state.indexOf(' ')));
      if (untilMs === FOREVER) return apply(state, call.input);
      // By the clock of whoever ran it, at some time between call and answer, the value's time was up or not.
      const mayExpire = untilMs <= call.returned + halfSkewMs;
      const mustExpire = untilMs <= call.invoked - halfSkewMs;
      return [...(mustExpire ? [] : apply(state, call.input)), ...(mayExpire ? apply('', call.input) : [])];
    },
  };
}
