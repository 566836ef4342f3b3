// @ts-check
/** The servers as cards: what each says of itself or, where it says nothing, what is known of it. */
import { make, makeDot } from './dom.js';
import { FarmView, isRunning, numberOf } from './farm.js';

/**
 * @typedef {import('./farm.js').Cluster} Cluster
 * @typedef {import('./farm.js').Voter} Voter
 * @typedef {import('./farm.js').Status} Status
 * @typedef {import('./farm.js').ServerAnswer} ServerAnswer
 * @typedef {import('./farm.js').Description} Description
 * @typedef {(server: number) => void} Action
 */

const SERVERS = [1, 2, 3, 4];

export class ServerCards {
  /** @type {Map<number, HTMLElement>} */ #cards = new Map();
  /** @type {Map<number, { atMs: number, operations: number }>} */ #counted = new Map();
  /** @type {Map<number, number>} */ #rates = new Map();
  #isFrontThere = false;

  /**
   * @param {HTMLElement} list @param {HTMLTemplateElement} template
   * @param {{ kill: Action, start: Action, cutOff: Action, heal: Action }} actions
   */
  constructor(list, template, { kill, start, cutOff, heal }) {
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
        card.dataset.pressed = '';
        kill(server);
      });
      const cut = /** @type {HTMLButtonElement} */ (part(card, '[data-action=cut]'));
      cut.disabled = true;
      cut.addEventListener('click', () => (isCut(card) ? heal : cutOff)(server));
      nameCutButton(card, server, false);
      const again = /** @type {HTMLButtonElement} */ (part(card, '[data-action=start]'));
      again.addEventListener('click', () => {
        again.disabled = true;
        card.dataset.pressed = '';
        start(server);
      });
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
    const farm = new FarmView(servers);
    for (const server of servers) this.#showOne(server, farm);
  }

  /** The cluster as one server sees it: all there is where the front can't be asked. @param {Cluster} cluster */
  showVoters(cluster) {
    if (this.#isFrontThere) return;
    for (const { name, slot, generation, isUp, isSelf } of cluster.voters) {
      const card = this.#cards.get(numberOf(name));
      if (card === undefined) continue;
      showState(card, isUp || isSelf ? 'up' : 'silent', isUp || isSelf ? 'good' : 'bad');
      fill(card, 'slot', `${slot}, ${generation}`);
      if (isSelf) showCluster(card, cluster);
    }
  }

  /** @param {ServerAnswer} server @param {FarmView} farm */
  #showOne(server, farm) {
    const { number, port, pid, state, isCutOff, status } = server;
    const card = this.#cards.get(number);
    if (card === undefined) return;
    showActions(card, server);
    nameCutButton(card, number, isCutOff && state === 'up');
    card.classList.toggle('is-dead', !isRunning(server));
    showDescription(card, farm.describe(server));
    if (!isRunning(server)) {
      this.#rates.delete(number);
      this.#counted.delete(number);
    }
    if (status === null) return;
    showProcess(card, { number, pid, port });
    showCluster(card, status.cluster);
    fill(card, 'rate', `${Math.round(this.#rate(number, status))}/s`);
    fill(card, 'requests', status.requests.toLocaleString('en'));
  }

  /** Per second, since the last answer. @param {number} server @param {Status} status */
  #rate(server, { atMs, cluster }) {
    const operations = cluster.operations.reads + cluster.operations.changes;
    const last = this.#counted.get(server);
    // Answers that follow each other closely, as after a kill, would make the figure jump.
    if (last !== undefined && atMs - last.atMs < 500) return this.#rates.get(server) ?? 0;
    // A fresh process counts from 0.
    const rate =
      last === undefined || operations < last.operations
        ? 0
        : ((operations - last.operations) * 1000) / (atMs - last.atMs);
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
 * A server that runs can be killed and, once it is up, cut off; one that does not can be started.
 * @param {HTMLElement} card @param {ServerAnswer} server
 */
function showActions(card, server) {
  const { number, state, starts } = server;
  const button = (/** @type {string} */ action) => {
    return /** @type {HTMLButtonElement} */ (part(card, `[data-action=${action}]`));
  };
  const [kill, cut, start] = [button('kill'), button('cut'), button('start')];
  const isUp = isRunning(server);
  kill.disabled = !isUp;
  cut.disabled = state !== 'up';
  start.disabled = isUp;
  const name = starts === 0 ? 'Start' : 'Start again';
  if (start.textContent !== name || !start.hasAttribute('aria-label')) {
    start.textContent = name;
    start.setAttribute('aria-label', starts === 0 ? `Start server ${number}` : `Start server ${number} again`);
  }
  if (start.hidden === isUp) return;
  [kill.hidden, cut.hidden, start.hidden] = [!isUp, !isUp, isUp];
  // Where the button was pressed, and nothing since: else the keyboard would be thrown back to the top of the page.
  const hadFocus = document.activeElement === document.body || card.contains(document.activeElement);
  if (card.dataset.pressed !== undefined && hadFocus) (isUp ? kill : start).focus();
  delete card.dataset.pressed;
}

/**
 * Figures are for a server that does its part; of another it is said what it waits for.
 * @param {HTMLElement} card @param {Description} description
 */
function showDescription(card, { badge, level, note, share }) {
  showState(card, badge, level);
  part(card, '.coming').hidden = note === null;
  part(card, '.facts').hidden = note !== null;
  const text = part(card, '.note');
  if (text.textContent !== note) text.textContent = note;
  const progress = /** @type {HTMLProgressElement} */ (part(card, 'progress'));
  progress.hidden = share === null;
  progress.value = share ?? 0;
}

/**
 * The port is a link to the server itself, past the front: cookies are the same on all ports.
 * @param {HTMLElement} card @param {{ number: number, pid: number, port: number }} server
 */
function showProcess(card, { number, pid, port }) {
  const shown = `${pid} ${port}`;
  // Made anew each second the link would lose the keyboard's focus.
  if (card.dataset.process === shown) return;
  card.dataset.process = shown;
  const door = make('a', '', String(port));
  door.href = `${location.protocol}//${location.hostname}:${port}/`;
  door.title = `Ask server ${number} itself, past the front`;
  fill(card, 'process', `${pid}, `, door);
}

/** What a server's store says. @param {HTMLElement} card @param {Cluster} cluster */
function showCluster(card, cluster) {
  const self = cluster.voters.find(({ isSelf }) => isSelf);
  fill(card, 'part', cluster.state === 'voter' ? 'votes' : 'no vote');
  fill(card, 'slot', self === undefined ? 'none' : `${cluster.slot}, ${self.generation}`);
  fill(card, 'reads', 'by quorum');
  fill(card, 'hears', ...cluster.voters.map(makeHeard));
  fill(card, 'roundTrip', roundTrips(cluster.voters));
  fill(card, 'records', cluster.records.toLocaleString('en'));
}

/** @param {Voter} voter */
function makeHeard({ slot, name, isSelf, isUp }) {
  const isHeard = isSelf || isUp;
  const dot = name === null ? make('span', 'dot', '–') : makeDot(numberOf(name));
  if (!isHeard) {
    delete dot.dataset.server;
    dot.classList.add('silent');
  }
  const hears = isSelf ? `${name}: itself` : isHeard ? `hears ${name}` : `does not hear ${name}`;
  dot.title = name === null ? `slot ${slot}: nobody yet` : `${hears}, slot ${slot}`;
  dot.setAttribute('role', 'img');
  dot.setAttribute('aria-label', dot.title);
  return dot;
}

/** @param {Voter[]} voters */
function roundTrips(voters) {
  const measured = voters.filter(({ isSelf, isUp, roundTripMs }) => !isSelf && isUp && roundTripMs !== null);
  if (measured.length === 0) return '–';
  return `${measured.map(({ roundTripMs }) => /** @type {number} */ (roundTripMs).toFixed(2)).join(', ')} ms`;
}

/** @param {HTMLElement} card @param {string} text @param {Description['level']} level */
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
