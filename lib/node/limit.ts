import { ValueTooLargeError } from '../errors.js';
import type { Change } from '../paxos/index.js';

/**
 * The change, but for writing more than `maxValueSize` bytes, with which it throws ValueTooLargeError. A value that is there
 * already may stay: another process may take larger ones.
 */
export function limited<R>(change: Change<R>, maxValueSize: number): Change<R> {
  return {
    ...change,
    apply: (current) => {
      const decision = change.apply(current);
      const value = decision.write?.value ?? null;
      const size = (value === current.value ? 0 : (value?.length ?? 0)) + (decision.write?.attributes.length ?? 0);
      if (size <= maxValueSize) return decision;
      throw new ValueTooLargeError(
        `The value has ${size} bytes; at most ${maxValueSize} are taken. Store less, or raise the option maxValueSize everywhere.`,
      );
    },
  };
}
