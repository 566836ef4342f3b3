// @ts-check
/** The three servers as cards: what each says of itself or, where it says nothing, what is known of it. */
import { make, makeDot } from './dom.js';

/**
 * What the page uses of the store's status (see NodeStatus).
 * @typedef {{ slot: number, generation: number, isSelf: boolean, isUp: boolean, roundTripMs: number | null }} Voter
 * @typedef {{ state: string, isReady: boolean, slot: number, clusterSize: number, quorum: number, records: number,
 *   voters: Voter[], operations: { reads: number, changes: number } }} Cluster
 * @typedef {{ atMs: number, requests: number, traffic: number, samples: [number, number, 0 | 1][], cluster: Cluster }} Status
 * @typedef {{ number: number, port: number, pid: number, state: 'starting' | 'up' | 'killed' | 'ended',
 *   isCutOff: boolean, status: Status | null }} ServerAnswer
 * @typedef {(server: number) => void} Action
 */

const SERVERS = [1, 2, 3];

export class ServerCards {
  /** @type {Map<number, HTMLElement>} */ #cards = new Map();
  /** @type {Map<number, { atMs: number, operations: number }>} */ #counted = new Map();
  /** @type {Map<number, number>} */ #rates = new Map();
  #isFrontThere = false;

  /**
   * @param {HTMLElement} list @param {HTMLTemplateElement} template
   * @param {{ kill: Action, cutOff: Action, heal: Action }} actions
   */
  constructor(list, template, { kill, cutOff, heal }) {
    for (const server of SERVERS) {
      const fragment = /** @type {DocumentFragment} */ (template.content.cloneNode(true));
      const card = /** @type {HTMLElement} */ (fragment.firstElementChild);
      card.dataset.server = String(server);
      part(card, 'header .dot').replaceWith(makeDot(server));
      part(card, '.title').textContent = `Server ${server}`;
      const button = /** @type {HTMLButtonElement} */ (part(card, '[data-action=kill]'));
      button.setAttribute('aria-label', `Kill server ${server}`);
      button.disabled = true;
      button.addEventListener('click', () => {
        button.disabled = true;
        kill(server);
      });
      const cut = /** @type {HTMLButtonElement} */ (part(card, '[data-action=cut]'));
      cut.disabled = true;
      cut.addEventListener('click', () => (isCut(card) ? heal : cutOff)(server));
      nameCutButton(card, server, false);
      for (const later of card.querySelectorAll('[data-later]')) {
        later.setAttribute('aria-description', /** @type {HTMLElement} */ (later).dataset.tip ?? '');
      }
      this.#cards.set(server, card);
      list.append(card);
    }
  }

  /** Store operations of all servers, in the last second. */
  get operationsPerSecond() {
    return Math.round([...this.#rates.values()].reduce((sum, rate) => sum + rate, 0));
  }

  /** @param {ServerAnswer[]} servers */
  show(servers) {
    this.#isFrontThere = true;
    for (const server of servers) this.#showOne(server);
  }

  /** The cluster as one server sees it: all there is where the front can't be asked. @param {Cluster} cluster */
  showVoters(cluster) {
    if (this.#isFrontThere) return;
    for (const { slot, generation, isUp, isSelf } of cluster.voters) {
      const card = this.#cards.get(slot);
      if (card === undefined) continue;
      showState(card, isUp || isSelf ? 'up' : 'silent', isUp || isSelf ? 'good' : 'bad');
      fill(card, 'slot', `${slot}, ${generation}`);
      if (isSelf) showCluster(card, cluster);
    }
  }

  /** @param {ServerAnswer} server */
  #showOne({ number, port, pid, state, isCutOff, status }) {
    const card = this.#cards.get(number);
    if (card === undefined) return;
    for (const action of ['kill', 'cut']) {
      /** @type {HTMLButtonElement} */ (part(card, `[data-action=${action}]`)).disabled = state !== 'up';
    }
    nameCutButton(card, number, isCutOff && state === 'up');
    const isDead = state === 'killed' || state === 'ended';
    card.classList.toggle('is-dead', isDead);
    showProcess(card, { number, pid, port, isDead });
    if (isDead) {
      showState(card, state, 'bad');
      this.#rates.delete(number);
      fill(card, 'hears', '–');
      fill(card, 'roundTrip', '–');
      fill(card, 'rate', '0/s');
      return;
    }
    if (status === null) return showState(card, state === 'up' ? 'no answer' : state, 'warn');
    const { cluster } = status;
    if (isCutOff) showState(card, cluster.isReady ? 'cut off' : 'cut off, answers 503', 'warn');
    else showState(card, cluster.isReady ? 'up' : 'no quorum', cluster.isReady ? 'good' : 'warn');
    showCluster(card, cluster);
    fill(card, 'rate', `${Math.round(this.#rate(number, status))}/s`);
    fill(card, 'requests', status.requests.toLocaleString('en'));
  }

  /** Per second, since the last answer. @param {number} server @param {Status} status */
  #rate(server, { atMs, cluster }) {
    const operations = cluster.operations.reads + cluster.operations.changes;
    const last = this.#counted.get(server);
    // Answers that follow each other closely, as after a kill, would make the figure jump.
    if (last !== undefined && atMs - last.atMs < 500) return this.#rates.get(server) ?? 0;
    const rate = last === undefined ? 0 : ((operations - last.operations) * 1000) / (atMs - last.atMs);
    this.#counted.set(server, { atMs, operations });
    this.#rates.set(server, rate);
    return rate;
  }
}

/** Whether the card's server is cut off, as far as is known here. @param {HTMLElement} card */
function isCut(card) {
  return card.classList.contains('is-cut');
}

/** The one button cuts off, or heals. @param {HTMLElement} card @param {number} server @param {boolean} isCutOff */
function nameCutButton(card, server, isCutOff) {
  card.classList.toggle('is-cut', isCutOff);
  const button = part(card, '[data-action=cut]');
  const name = isCutOff ? 'Heal' : 'Cut off';
  // Only where it changes: writing it again would make a screen reader say it again.
  if (button.textContent === name && button.hasAttribute('aria-label')) return;
  button.textContent = name;
  button.setAttribute('aria-label', `${name} server ${server}`);
}

/**
 * The port is a link to the server itself, past the front: cookies are the same on all ports.
 * @param {HTMLElement} card @param {{ number: number, pid: number, port: number, isDead: boolean }} server
 */
function showProcess(card, { number, pid, port, isDead }) {
  const shown = `${pid} ${port} ${isDead}`;
  // Made anew each second the link would lose the keyboard's focus.
  if (card.dataset.process === shown) return;
  card.dataset.process = shown;
  if (isDead) return fill(card, 'process', `${pid}, ${port}`);
  const door = make('a', '', String(port));
  door.href = `${location.protocol}//${location.hostname}:${port}/`;
  door.title = `Ask server ${number} itself, past the front`;
  fill(card, 'process', `${pid}, `, door);
}

/** What a server's store says. @param {HTMLElement} card @param {Cluster} cluster */
function showCluster(card, cluster) {
  const self = cluster.voters.find(({ isSelf }) => isSelf);
  fill(card, 'slot', `${cluster.slot}, ${self?.generation ?? '–'}`);
  fill(card, 'reads', 'by quorum');
  fill(card, 'hears', ...cluster.voters.map(makeHeard));
  fill(card, 'roundTrip', roundTrips(cluster.voters));
  fill(card, 'records', cluster.records.toLocaleString('en'));
}

/** @param {Voter} voter */
function makeHeard({ slot, isSelf, isUp }) {
  const dot = makeDot(slot);
  const isHeard = isSelf || isUp;
  if (!isHeard) {
    delete dot.dataset.server;
    dot.classList.add('silent');
  }
  dot.title = isSelf ? `server ${slot}: itself` : isHeard ? `hears server ${slot}` : `does not hear server ${slot}`;
  dot.setAttribute('role', 'img');
  dot.setAttribute('aria-label', dot.title);
  return dot;
}

/** @param {Voter[]} voters */
function roundTrips(voters) {
  const measured = voters.filter(({ isSelf, isUp, roundTripMs }) => !isSelf && isUp && roundTripMs !== null);
  if (measured.length === 0) return '–';
  return `${measured.map(({ roundTripMs }) => /** @type {number} */ (roundTripMs).toFixed(2)).join(' and ')} ms`;
}

/** @param {HTMLElement} card @param {string} text @param {'good' | 'warn' | 'bad'} level */
function showState(card, text, level) {
  const state = part(card, '.state');
  state.textContent = text;
  state.dataset.level = level;
}

/** @param {HTMLElement} card @param {string} field @param {...(string | Node)} content */
function fill(card, field, ...content) {
  part(card, `[data-field=${field}]`).replaceChildren(...content);
}

/** @param {HTMLElement} card @param {string} selector @returns {HTMLElement} */
function part(card, selector) {
  const element = card.querySelector(selector);
  if (element instanceof HTMLElement) return element;
  throw new TypeError(`A card has no ${selector}.`);
}
