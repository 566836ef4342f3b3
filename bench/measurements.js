import { median } from './statistics.js';

/** What was measured: each row for each contestant in each round. */
export class Measurements {
  #all = [];

  add(measurement) {
    this.#all.push(measurement);
  }

  get all() {
    return this.#all;
  }

  /** Median over the rounds of a row's figure; `NaN` where it was not measured. */
  median(row, contestant, figure) {
    return median(this.#of(row, contestant).map((measurement) => measurement[figure]));
  }

  /** Median over the rounds of one contestant's figure divided by another's of the same round. */
  ratio(row, contestant, figure, otherRow, other) {
    const theirs = new Map(this.#of(otherRow, other).map((measurement) => [measurement.round, measurement[figure]]));
    return median(this.#of(row, contestant).map(({ round, [figure]: own }) => own / (theirs.get(round) ?? Number.NaN)));
  }

  /** Of each row and contestant, the largest figure of a round divided by the smallest: the median of those. */
  spread(figure) {
    const keys = [...new Set(this.#all.map(keyOf))];
    const groups = keys.map((key) => this.#all.filter((each) => keyOf(each) === key));
    const spreads = groups.map((group) => {
      const values = group.map((each) => each[figure]).filter((value) => Number.isFinite(value));
      return Math.max(...values) / Math.min(...values);
    });
    return median(spreads);
  }

  /** Rows in which operations failed. */
  get failures() {
    return this.#all.filter(({ errors }) => errors > 0);
  }

  #of(row, contestant) {
    return this.#all.filter((each) => each.row === row && each.contestant === contestant);
  }
}

function keyOf({ row, contestant }) {
  return `${row} ${contestant}`;
}
