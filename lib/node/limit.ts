import { ValueTooLargeError } from '../errors.js';
import type { Change } from '../paxos/index.js';

/** The change, but for writing more than `maxValueSize` bytes, with which it throws ValueTooLargeError. */
export function limited<R>(change: Change<R>, maxValueSize: number): Change<R> {
  return {
    ...change,
    apply: (current) => {
      const decision = change.apply(current);
      const size = (decision.write?.value?.length ?? 0) + (decision.write?.attributes.length ?? 0);
      if (size <= maxValueSize) return decision;
      throw new ValueTooLargeError(
        `The value has ${size} bytes; at most ${maxValueSize} are taken. Store less, or raise the option maxValueSize everywhere.`,
      );
    },
  };
}
