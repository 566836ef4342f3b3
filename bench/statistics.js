/** The value below which a fraction `p` of the sorted samples lies; `NaN` of none. */
export function percentile(sorted, p) {
  if (sorted.length === 0) return Number.NaN;
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))];
}

export function median(values) {
  const sorted = values.filter((value) => Number.isFinite(value)).sort((a, b) => a - b);
  if (sorted.length === 0) return Number.NaN;
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Samples of one measurement, up to a bound; what comes after it is not kept. */
export class Samples {
  #values = new Float64Array(1 << 20);
  #count = 0;

  add(value) {
    if (this.#count < this.#values.length) this.#values[this.#count++] = value;
  }

  percentiles(...fractions) {
    const sorted = this.#values.slice(0, this.#count).sort();
    return fractions.map((fraction) => percentile(sorted, fraction));
  }
}
