// biome-ignore lint/suspicious/noExplicitAny: of whatever type a method is.
type Method = (this: any, ...parameters: any[]) => any;

/** What stands in for a method at the moment. */
interface Seam {
  current: Method;
}

const seams = new WeakMap<object, Map<PropertyKey, Seam>>();

/**
 * Lets something else stand in for a method. The prototype itself is changed only the first time: else what was compiled
 * for it would be thrown away at the beginning and the end of every run, which takes a third of the time.
 *
 * @param make given what stood there before
 * @returns ends it; what was overridden last has to be ended first
 */
export function override<P extends object, K extends keyof P>(
  prototype: P,
  name: K,
  make: (before: P[K]) => P[K],
): () => void {
  // A method of the prototype, and of its type, since P says so.
  return standIn(prototype, name, (before) => make(before as P[K]) as Method);
}

/** The same for a property that is computed. */
export function overrideGetter<P extends object, K extends keyof P>(
  prototype: P,
  name: K,
  make: (before: (this: P) => P[K]) => (this: P) => P[K],
): () => void {
  return standIn(prototype, name, make);
}

/** @returns ends all of them, the last first */
export function allOf(overrides: readonly (() => void)[]): () => void {
  return () => {
    for (const end of [...overrides].reverse()) end();
  };
}

function standIn(prototype: object, name: PropertyKey, make: (before: Method) => Method): () => void {
  const seam = seamOf(prototype, name);
  const before = seam.current;
  seam.current = make(before);
  return () => {
    seam.current = before;
  };
}

function seamOf(prototype: object, name: PropertyKey): Seam {
  const ofAll = seams.get(prototype) ?? new Map<PropertyKey, Seam>();
  seams.set(prototype, ofAll);
  const known = ofAll.get(name);
  if (known !== undefined) return known;
  const { value, get } = Object.getOwnPropertyDescriptor(prototype, name) ?? {};
  const original: Method | undefined = value ?? get;
  if (original === undefined) throw new Error(`${String(name)} is no method and no getter`);
  const seam: Seam = { current: original };
  const stub = function (this: unknown, ...parameters: unknown[]): unknown {
    return seam.current.apply(this, parameters);
  };
  Object.defineProperty(prototype, name, {
    configurable: true,
    ...(get === undefined ? { value: stub, writable: true } : { get: stub }),
  });
  ofAll.set(name, seam);
  return seam;
}
