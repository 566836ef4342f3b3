// @ts-check
/** Background traffic: other visitors, so that there is something to measure before anybody clicks. */

const TICK_MS = 10;
const VISITORS = 60;
const VISIT_MS = 60_000;
/** One in four requests changes its visitor's session. */
const WRITE_SHARE = 0.25;
/** When the store is slow, as without a quorum, traffic waits instead of piling up. */
const MAX_UNDER_WAY = 32;

/** All servers share the visitors, as the requests of one visitor go to all of them. */
export class Traffic {
  #store;
  #perSecond = 0;
  #due = 0;
  #lastMs = 0;
  #underWay = 0;
  /** @type {NodeJS.Timeout | undefined} */
  #timer;

  /** @param {import('connect-paxos').PaxosStore} store */
  constructor(store) {
    this.#store = store;
  }

  /** Operations a second that this server begins. */
  get perSecond() {
    return this.#perSecond;
  }

  set perSecond(value) {
    clearInterval(this.#timer);
    this.#perSecond = value;
    this.#due = 0;
    this.#lastMs = performance.now();
    if (value > 0) this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  #tick() {
    const nowMs = performance.now();
    this.#due = Math.min(this.#due + ((nowMs - this.#lastMs) / 1000) * this.#perSecond, MAX_UNDER_WAY);
    this.#lastMs = nowMs;
    for (; this.#due >= 1 && this.#underWay < MAX_UNDER_WAY; this.#due -= 1) {
      this.#underWay += 1;
      // What fails, for want of a quorum, the counters in the store's status tell.
      this.#visit()
        .catch(() => undefined)
        .finally(() => {
          this.#underWay -= 1;
        });
    }
  }

  async #visit() {
    // Nobody can come in by such an id: the cookies are signed.
    const id = `visitor-${Math.floor(Math.random() * VISITORS)}`;
    const loaded = await this.#store.get(id);
    if (loaded !== null && Math.random() > WRITE_SHARE) return;
    const session = /** @type {any} */ (loaded ?? {});
    session.cookie = { originalMaxAge: VISIT_MS, expires: new Date(Date.now() + VISIT_MS) };
    session.visits = (session.visits ?? 0) + 1;
    await this.#store.set(id, session);
  }
}
