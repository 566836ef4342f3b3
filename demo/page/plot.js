// @ts-check
/** The last minute of store operations: a dot for each, in its server's colour, and p50 and p99 of each second. */

const WINDOW_MS = 60_000;
const SECOND_MS = 1000;
const MARGIN = { top: 8, right: 8, bottom: 18, left: 52 };
/** The scale is logarithmic: what matters lies between tenths of a millisecond and seconds. */
const DECADES_MS = [0.1, 1, 10, 100, 1000, 10_000];
/** Seconds with fewer operations have no percentiles worth drawing. */
const MIN_SAMPLES = 5;

/** @typedef {{ atMs: number, ms: number, isWrite: boolean, server: number }} Sample */

export class Plot {
  #canvas;
  /** @type {Sample[]} */ #samples = [];
  /** @type {{ atMs: number, text: string, level: 'good' | 'warn' | 'bad' }[]} */ #marks = [];

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.#canvas = canvas;
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.draw());
  }

  /** @param {readonly Sample[]} samples */
  add(samples) {
    this.#samples.push(...samples);
    const fromMs = Date.now() - WINDOW_MS - SECOND_MS;
    this.#samples = this.#samples.filter(({ atMs }) => atMs > fromMs);
    this.#marks = this.#marks.filter(({ atMs }) => atMs > fromMs);
  }

  /** A line across the plot, at now. @param {string} text @param {'good' | 'warn' | 'bad'} level */
  mark(text, level) {
    this.#marks.push({ atMs: Date.now(), text, level });
  }

  /**
   * Of the last ten seconds, all servers together.
   * @param {boolean} isWrite
   * @returns {{ p50: number, p99: number } | null}
   */
  percentiles(isWrite) {
    const fromMs = Date.now() - 10 * SECOND_MS;
    const recent = this.#samples.filter((sample) => sample.isWrite === isWrite && sample.atMs > fromMs);
    return recent.length === 0 ? null : percentilesOf(recent);
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    const context = this.#canvas.getContext('2d');
    if (context === null || width === 0) return;
    const scale = devicePixelRatio;
    this.#canvas.width = Math.round(width * scale);
    this.#canvas.height = Math.round(height * scale);
    context.scale(scale, scale);
    context.font = `11px ${getComputedStyle(document.body).fontFamily}`;

    const slowest = this.#samples.reduce((most, { ms }) => Math.max(most, ms), 0);
    const topMs = DECADES_MS.find((ms) => ms >= Math.max(slowest, 10)) ?? 10_000;
    const nowMs = Date.now();
    const x = (/** @type {number} */ atMs) =>
      width - MARGIN.right - ((nowMs - atMs) / WINDOW_MS) * (width - MARGIN.left - MARGIN.right);
    const bottom = height - MARGIN.bottom;
    const fastestMs = /** @type {number} */ (DECADES_MS[0]);
    const share = (/** @type {number} */ ms) =>
      Math.log(Math.max(ms, fastestMs / 2) / (fastestMs / 2)) / Math.log(topMs / (fastestMs / 2));
    const y = (/** @type {number} */ ms) => bottom - share(ms) * (bottom - MARGIN.top);

    this.#drawGrid(context, { width, bottom, topMs, x, y, nowMs });
    context.save();
    context.beginPath();
    context.rect(MARGIN.left, 0, width - MARGIN.left, height);
    context.clip();
    this.#drawDots(context, x, y);
    this.#drawPercentiles(context, x, y);
    this.#drawMarks(context, x, bottom);
    context.restore();
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {{ width: number, bottom: number, topMs: number, nowMs: number, x: (atMs: number) => number, y: (ms: number) => number }} frame
   */
  #drawGrid(context, { width, bottom, topMs, nowMs, x, y }) {
    context.strokeStyle = colour('--line');
    context.fillStyle = colour('--soft');
    context.textBaseline = 'middle';
    context.textAlign = 'right';
    for (const ms of DECADES_MS.filter((decade) => decade <= topMs)) {
      const at = Math.round(y(ms)) + 0.5;
      line(context, MARGIN.left, at, width - MARGIN.right, at);
      context.fillText(ms >= 1000 ? `${ms / 1000} s` : `${ms} ms`, MARGIN.left - 8, at);
    }
    context.textBaseline = 'alphabetic';
    for (const seconds of width < 480 ? [60, 30, 0] : [60, 45, 30, 15, 0]) {
      context.textAlign = seconds === 0 ? 'right' : seconds === 60 ? 'left' : 'center';
      context.fillText(seconds === 0 ? 'now' : `${seconds} s ago`, x(nowMs - seconds * SECOND_MS), bottom + 14);
    }
  }

  /** @param {CanvasRenderingContext2D} context @param {(atMs: number) => number} x @param {(ms: number) => number} y */
  #drawDots(context, x, y) {
    context.globalAlpha = this.#samples.length > 10_000 ? 0.2 : 0.45;
    for (const server of [1, 2, 3, 4]) {
      context.fillStyle = colour(`--server-${server}`);
      for (const sample of this.#samples) {
        if (sample.server === server) context.fillRect(x(sample.atMs) - 1, y(sample.ms) - 1, 2.2, 2.2);
      }
    }
    context.globalAlpha = 1;
  }

  /** @param {CanvasRenderingContext2D} context @param {(atMs: number) => number} x @param {(ms: number) => number} y */
  #drawPercentiles(context, x, y) {
    /** @type {Map<number, Sample[]>} */
    const seconds = new Map();
    for (const sample of this.#samples) {
      const second = Math.floor(sample.atMs / SECOND_MS);
      const group = seconds.get(second);
      if (group === undefined) seconds.set(second, [sample]);
      else group.push(sample);
    }
    // The second under way is not whole yet.
    const current = Math.floor(Date.now() / SECOND_MS);
    const points = [...seconds]
      .filter(([second, group]) => second < current && group.length >= MIN_SAMPLES)
      .sort(([a], [b]) => a - b)
      .map(([second, group]) => ({ x: x((second + 0.5) * SECOND_MS), ...percentilesOf(group) }));
    context.strokeStyle = colour('--text');
    context.lineJoin = 'round';
    for (const [name, width, dash] of /** @type {const} */ ([
      ['p99', 1.2, [4, 3]],
      ['p50', 2, []],
    ])) {
      context.lineWidth = width;
      context.setLineDash([...dash]);
      context.beginPath();
      for (const point of points) context.lineTo(point.x, y(point[name]));
      context.stroke();
    }
    context.setLineDash([]);
    context.lineWidth = 1;
  }

  /** @param {CanvasRenderingContext2D} context @param {(atMs: number) => number} x @param {number} bottom */
  #drawMarks(context, x, bottom) {
    for (const [index, { atMs, text, level }] of this.#marks.entries()) {
      context.strokeStyle = colour(`--${level}`);
      context.fillStyle = colour(`--${level}`);
      const at = Math.round(x(atMs)) + 0.5;
      line(context, at, MARGIN.top, at, bottom);
      const isLeft = at > this.#canvas.clientWidth - 80;
      context.textAlign = isLeft ? 'right' : 'left';
      context.fillText(text, at + (isLeft ? -5 : 5), MARGIN.top + 10 + 13 * (index % 3));
    }
  }
}

/** @param {readonly Sample[]} samples not empty */
function percentilesOf(samples) {
  const sorted = Float64Array.from(samples, ({ ms }) => ms).sort();
  const at = (/** @type {number} */ share) =>
    /** @type {number} */ (sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]);
  return { p50: at(0.5), p99: at(0.99) };
}

/** @param {CanvasRenderingContext2D} context @param {number} x1 @param {number} y1 @param {number} x2 @param {number} y2 */
function line(context, x1, y1, x2, y2) {
  context.beginPath();
  context.moveTo(x1, y1);
  context.lineTo(x2, y2);
  context.stroke();
}

/** @param {string} name */
function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name);
}
