// @ts-check
/** The page: what is clicked is sent, what comes back is shown, and once a second the servers are asked. */
import { ServerCards } from './cards.js';
import { byId, make, makeDot } from './dom.js';
import { FarmView, isRunning, numberOf } from './farm.js';
import { Plot } from './plot.js';

const POLL_MS = 1000;
/** While something is coming up, its steps are to be seen. */
const EAGER_MS = 150;
/** A server that takes longer than that to come up waits for something, and it is said for what. */
const LONG_START_MS = 10_000;
const STRIP = 12;
const MAX_LOG = 200;
const SLOW_MS = 1200;
/** A healed server needs a moment until it has heard the others. */
const HEAL_MS = 10_000;
const ASK_AGAIN_MS = 100;

/**
 * @typedef {{ user: string, id: string, clicks: number, cart: Record<string, number> }} Session
 * @typedef {{ server: { number: number }, goods: string[], session: Session | null, cluster: import('./farm.js').Cluster }} State
 */

const plot = new Plot(byId('plot', HTMLCanvasElement));
const cards = new ServerCards(byId('servers', HTMLElement), byId('card', HTMLTemplateElement), {
  kill,
  start,
  cutOff,
  heal,
});
/** @type {State | null} */
let state = null;
/** @type {EventSource | null} */
let events = null;
/** Counts answers asked for, so that a slow one doesn't overwrite what a later one said. */
let asked = 0;
let shown = 0;
/** Clicks under way, and how often that number has changed. */
let clicking = 0;
let clickChanges = 0;
/** When each server took the last sample that is here; by its number, less one. */
const lastSampleMs = [0, 0, 0, 0];
let hasIntroduced = false;

/** What the log and the banner say of it. */
class Refusal extends Error {
  /**
   * @param {number} status 0 where nothing answered
   * @param {string} message
   * @param {Pick<State, 'server' | 'cluster'> | null} [from] the server that refused, where one did
   */
  constructor(status, message, from = null) {
    super(message);
    this.status = status;
    this.from = from;
  }
}

/** @param {string} path @param {unknown} [body] sent by POST where there is one @returns {Promise<any>} */
async function ask(path, body) {
  const init =
    body === undefined
      ? {}
      : { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  let response;
  let isJson;
  let answer;
  try {
    response = await fetch(path, init);
    isJson = response.headers.get('content-type')?.includes('json') === true;
    // A server that is killed may have sent half of it.
    answer = isJson ? await response.json() : null;
  } catch {
    throw new Refusal(0, 'Nothing answers at this address. Has the demo been ended?');
  }
  if (response.ok && isJson) return answer;
  const message = answer?.error?.message ?? answer?.error ?? `Status ${response.status}.`;
  throw new Refusal(response.status, message, answer?.server ? answer : null);
}

/**
 * Something the visitor does: the answer is shown, and who gave it.
 * @param {string} path @param {unknown} [body]
 * @returns {Promise<State | null>} `null` where it failed
 */
async function click(path, body) {
  const turn = ++asked;
  clicking += 1;
  clickChanges += 1;
  try {
    /** @type {State} */
    const answer = await ask(path, body);
    showAnswerer(answer.server.number);
    show(answer, turn);
    return answer;
  } catch (error) {
    showFailure(/** @type {Refusal} */ (error), true);
    return null;
  } finally {
    clicking -= 1;
    clickChanges += 1;
  }
}

/** What the page asks by itself: it shows, but counts as no click. */
async function poll() {
  const changes = clickChanges;
  try {
    /** @type {State} */
    const answer = await ask('/api/state?poll');
    // Asked or answered while a click was under way, it may say how things were before that.
    if (clicking > 0 || changes !== clickChanges) return;
    noteOthers(answer);
    show(answer, ++asked);
  } catch (error) {
    showFailure(/** @type {Refusal} */ (error), false);
  }
}

/** @param {State} answer @param {number} turn */
function show(answer, turn) {
  showBanner('');
  if (turn < shown) return;
  shown = turn;
  state = answer;
  showFarm(answer);
  showSession(answer);
  listen(answer.session !== null);
}

/** Says what this page did not do: another tab, or the session's end. @param {State} answer */
function noteOthers(answer) {
  if (state === null) return;
  const [before, after] = [state.session, answer.session];
  if (before?.id === after?.id && before?.clicks === after?.clicks) return;
  if (state.cluster.incarnation !== answer.cluster.incarnation)
    log('The session went with the old farm. Log in again.', 'bad');
  else if (after === null) log('You were logged out elsewhere.');
  else if (before?.id !== after.id) log(`Logged in elsewhere as ${after.user}.`);
  else log('The session was changed elsewhere, as in another tab.');
}

/** @param {Pick<State, 'server' | 'cluster'>} answer */
function showFarm({ server, cluster }) {
  const { voters, quorum, clusterSize } = cluster;
  const up = voters.filter((voter) => (voter.isSelf || voter.isUp) && !voter.isRecovering).length;
  const level = up < quorum ? 'bad' : up < clusterSize ? 'warn' : 'good';
  byId('farm', HTMLElement).dataset.level = level;
  byId('farm-text', HTMLElement).textContent =
    `${up} of ${clusterSize} voters up, ${quorum} needed, says server ${server.number}`;
  cards.showVoters(cluster);
}

function showNoFarm() {
  byId('farm', HTMLElement).dataset.level = 'bad';
  byId('farm-text', HTMLElement).textContent = 'No server answers';
}

/** @param {State} answer */
function showSession({ goods, session }) {
  byId('login', HTMLElement).hidden = session !== null;
  byId('account', HTMLElement).hidden = session === null;
  byId('steps', HTMLElement).hidden = session !== null;
  if (session === null) return;
  byId('user', HTMLElement).textContent = session.user;
  byId('about', HTMLElement).textContent = `Id ${session.id}…, saved ${times(session.clicks)}`;
  const cart = byId('cart', HTMLElement);
  if (cart.childElementCount !== goods.length) cart.replaceChildren(...goods.map(makeCartLine));
  for (const [index, item] of goods.entries()) {
    const quantity = session.cart[item] ?? 0;
    const line = /** @type {HTMLElement} */ (cart.children[index]);
    const number = /** @type {HTMLElement} */ (line.querySelector('.quantity'));
    number.textContent = String(quantity);
    number.classList.toggle('none', quantity === 0);
    /** @type {HTMLButtonElement} */ (line.querySelector('.less')).disabled = quantity === 0;
  }
}

/** @param {string} item */
function makeCartLine(item) {
  const change = (/** @type {1 | -1} */ by) => {
    const button = make('button', by === 1 ? 'more' : 'less', by === 1 ? '+' : '−');
    button.type = 'button';
    button.setAttribute('aria-label', by === 1 ? `One more: ${item}` : `One less: ${item}`);
    button.addEventListener('click', async () => {
      const answer = await click('/cart', { item, change: by });
      if (answer !== null) log(`${by === 1 ? 'Added' : 'Removed'} ${item}; server ${answer.server.number} answered.`);
    });
    return button;
  };
  return make('li', '', make('span', 'name', item), change(-1), make('span', 'quantity', '0'), change(1));
}

/** @param {number} server */
function showAnswerer(server) {
  const dot = byId('last-dot', HTMLElement);
  dot.textContent = String(server);
  dot.dataset.server = String(server);
  byId('last-text', HTMLElement).textContent = `server ${server}`;
  addToStrip(makeDot(server), `server ${server}`);
}

/** @param {HTMLElement} dot @param {string} label */
function addToStrip(dot, label) {
  const strip = byId('strip', HTMLElement);
  dot.title = label;
  strip.prepend(make('li', '', dot));
  while (strip.childElementCount > STRIP) strip.lastElementChild?.remove();
}

/** @param {Refusal} refusal @param {boolean} isClick */
function showFailure({ status, message, from }, isClick) {
  const who = from === null ? '' : `Server ${from.server.number} answers ${status}: `;
  if (from !== null) showFarm(from);
  else if (status === 0 || status === 502 || status === 503) showNoFarm();
  if (isClick) {
    addToStrip(make('span', 'dot failed', '×'), `${status || 'no answer'}`);
    log(`${who}${message}`, 'bad');
  }
  // A refusal of what was sent (4xx) is said once; that nothing works stands there until it does.
  if (status === 0 || status >= 500) showBanner(`${who}${message}`);
}

/** What the last answer failed of; '' where it did not. */
let failure = '';
/** What is wrong with the whole farm. It says what to do, and so goes before the failure of one answer. */
let trouble = '';

/** @param {string} text */
function showBanner(text) {
  failure = text;
  const banner = byId('banner', HTMLElement);
  const shownText = trouble || failure;
  if (banner.textContent === shownText) return;
  banner.textContent = shownText;
  banner.hidden = shownText === '';
}

/** @param {string} text @param {'good' | 'bad' | ''} [level] */
function log(text, level = '') {
  const time = make('time', '', new Date().toLocaleTimeString([], { hour12: false }));
  const line = make('li', '', time, make('span', 'text', text));
  line.dataset.level = level;
  const list = byId('log', HTMLElement);
  list.prepend(line);
  while (list.childElementCount > MAX_LOG) list.lastElementChild?.remove();
}

/** Another tab's changes show at once, not at the next poll. @param {boolean} isLoggedIn */
function listen(isLoggedIn) {
  // A browser tries again where a stream breaks off, but not where it was refused.
  const isOpen = events !== null && events.readyState !== EventSource.CLOSED;
  if (isLoggedIn === isOpen) return;
  events?.close();
  events = null;
  if (!isLoggedIn) return;
  events = new EventSource('/events');
  const look = () => {
    if (clicking === 0) poll();
  };
  events.addEventListener('change', look);
  events.addEventListener('destroy', look);
}

/** @param {number} server */
async function kill(server) {
  const before = state?.session ?? null;
  try {
    const { killed } = await ask(`/demo/kill/${server}`, {});
    killedAtMs.set(server, Date.now());
    plot.mark(`${server} killed`, 'bad');
    log(`Server ${server} killed: SIGKILL to process ${killed.pid}.`, 'bad');
  } catch (error) {
    log(/** @type {Refusal} */ (error).message, 'bad');
    return void watchServers();
  }
  await watchServers();
  // Where nobody is left there is nobody to ask; the banner says so.
  if (isAnyUp) await lookAfter(before);
}

/** When this page killed each server. @type {Map<number, number>} */
const killedAtMs = new Map();

/** How it comes up is told by {@link follow}, as that of a server which somebody else started. @param {number} server */
async function start(server) {
  try {
    await ask(`/demo/start/${server}`, {});
  } catch (error) {
    log(/** @type {Refusal} */ (error).message, 'bad');
  }
  watchServers();
}

/** A click, and whether the session is as it was. @param {Session | null} before */
async function lookAfter(before) {
  const after = await click('/api/state');
  if (before !== null && after !== null) tellSession(before, after, before);
}

/**
 * Whether the answer's session is as it was.
 * @param {Session} before @param {State} after @param {Session | null} latest of meanwhile
 */
function tellSession(before, after, latest) {
  const isThere = [before, latest].some(
    (known) =>
      known !== null &&
      after.session?.id === known.id &&
      JSON.stringify(after.session.cart) === JSON.stringify(known.cart),
  );
  const what = describeSession(after.session ?? before);
  if (isThere) log(`Session still there: yes, says server ${after.server.number} (${what}).`, 'good');
  else log(`Session still there: no, says server ${after.server.number} (it was ${what}).`, 'bad');
}

/** Servers that are being cut off or healed: a second click on the button waits for the first. */
const changing = new Set();

/** @param {number} server @param {'cut-off' | 'heal'} what @returns {Promise<boolean>} whether it is done */
async function change(server, what) {
  if (changing.has(server)) return false;
  changing.add(server);
  try {
    await ask(`/demo/${what}/${server}`, {});
    return true;
  } catch (error) {
    log(/** @type {Refusal} */ (error).message, 'bad');
    return false;
  } finally {
    changing.delete(server);
  }
}

/** @param {number} server */
async function cutOff(server) {
  const before = state?.session ?? null;
  if (!(await change(server, 'cut-off'))) return;
  plot.mark(`${server} cut off`, 'warn');
  log(`Server ${server} cut off: it runs, but it and the others hear nothing of each other.`, 'bad');
  watchServers();
  await lookAfter(before);
  // Without a session there is nothing that it would have to ask the others.
  if (before !== null) await askItself(server);
}

/** @param {number} server */
async function heal(server) {
  if (!(await change(server, 'heal'))) return;
  const startMs = performance.now();
  plot.mark(`${server} healed`, 'good');
  log(`Server ${server} healed: it and the others hear each other again.`);
  watchServers();
  while (performance.now() < startMs + HEAL_MS) {
    const answer = await ask(`/demo/ask/${server}`).catch(() => null);
    if (answer !== null) {
      log(
        `Server ${server} serves again after ${seconds(performance.now() - startMs)}: ${describeSession(answer.session)}.`,
        'good',
      );
      return watchServers();
    }
    await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
  }
  log(`Server ${server} does not serve yet: too few of the others can be heard.`, 'bad');
}

/** Asks one server, past the turns: one that is cut off has to refuse. @param {number} server */
async function askItself(server) {
  const startMs = performance.now();
  try {
    const { session } = await ask(`/demo/ask/${server}`);
    log(`Server ${server}, asked itself: ${describeSession(session)}.`);
  } catch (error) {
    const { status, message } = /** @type {Refusal} */ (error);
    log(`Server ${server}, asked itself, answers ${status} after ${seconds(performance.now() - startMs)}: ${message}`);
  }
}

/** Counts the questions to the servers, as {@link asked} does: several may be under way. */
let watched = 0;
let watchShown = 0;
/** Whether something in the farm is about to change by itself. */
let isMoving = false;
let isAnyUp = true;

/** Asks each server for itself, by the front; where the page comes from a server directly, there is nobody to ask. */
async function watchServers() {
  const turn = ++watched;
  try {
    const { servers } = await ask(`/demo/servers?since=${lastSampleMs}`);
    if (turn < watchShown) return;
    watchShown = turn;
    if (!hasIntroduced) logServers(servers);
    follow(servers, hasIntroduced);
    hasIntroduced = true;
    cards.show(servers);
    takeSamples(servers);
  } catch (error) {
    const { status } = /** @type {Refusal} */ (error);
    // Nothing is known of the servers any more.
    if (status === 0) trouble = '';
    if (status !== 404) return;
    byId('traffic', HTMLElement).hidden = true;
    if (!hasIntroduced)
      log('This page comes from one server itself. Only the front can ask the others, kill them and start them.');
    hasIntroduced = true;
  }
}

/**
 * What is known of each server's process: how many of its parts (see history.js) were told, and what else.
 * @typedef {{ pid: number, parts: number, isUp: boolean, isLong: boolean }} Followed
 * @type {Map<number, Followed>}
 */
const followed = new Map();
/** Who last voted for each slot: whose it was is to be said when another takes it. @type {Map<number, number>} */
const lastVoters = new Map();
let lastIncarnation = '';

/**
 * Tells how servers come up and what becomes of them, whoever started or killed them.
 * @param {import('./farm.js').ServerAnswer[]} servers @param {boolean} isTold whether what is new to this page happened now
 */
function follow(servers, isTold) {
  const farm = new FarmView(servers);
  trouble = farm.trouble;
  showBanner(failure);
  for (const server of servers) followOne(server, farm, isTold);
  const incarnation = farm.cluster?.incarnation ?? '';
  if (incarnation !== '' && incarnation !== lastIncarnation) {
    if (lastIncarnation !== '') {
      plot.mark('new farm', 'good');
      log('A new farm has formed. It knows nothing of the sessions before it.');
    }
    lastIncarnation = incarnation;
    lastVoters.clear();
  }
  for (const { slot, name, isRecovering } of farm.cluster?.voters ?? []) {
    if (name !== null && !isRecovering) lastVoters.set(slot, numberOf(name));
  }
  isAnyUp = servers.some(({ state }) => state === 'up');
  isMoving = servers.some(({ state, status }) => state === 'starting' || status?.cluster.state === 'recovering');
  isMoving ||= farm.running.some(({ status }) => status?.cluster.state === 'learner') && !farm.isWhole;
}

/** @param {import('./farm.js').ServerAnswer} server @param {FarmView} farm @param {boolean} isTold */
function followOne(server, farm, isTold) {
  const { number, pid, port, state, starts, failure: why, status } = server;
  let known = followed.get(number);
  if (known?.pid !== pid && isRunning(server)) {
    known = { pid, parts: 0, isUp: state === 'up', isLong: false };
    followed.set(number, known);
    if (isTold) {
      killedAtMs.delete(number);
      plot.mark(`${number} starts`, 'warn');
      log(
        `Server ${number} is started${starts > 1 ? ' again' : ''}: process ${pid}, port ${port}, with an empty memory.`,
      );
      // One that was ready before it was seen is told of all the same.
      known.isUp = false;
    }
  }
  if (known === undefined || known.pid !== pid) return;
  if (state === 'ended' && why !== null && !known.isLong) {
    known.isLong = true;
    log(`Server ${number} could not start: ${why}`, 'bad');
  }
  if (status === null) return;
  const parts = status.history;
  if (isTold) {
    for (let index = Math.max(known.parts, 1); index < parts.length; index += 1) tellPart(number, parts, index);
    tellReady(server, known, farm);
  }
  known.parts = parts.length;
}

/** @param {number} number @param {readonly import('./farm.js').Part[]} parts @param {number} index */
function tellPart(number, parts, index) {
  const [part, before, first] = [parts[index], parts[index - 1], parts[0]];
  if (part === undefined || before === undefined || first === undefined) return;
  if (before.state === 'voter' && part.slot === 0) {
    log(
      `Server ${number} has lost slot ${before.slot} to another: it was not heard for too long. It is a standby now.`,
      'bad',
    );
  }
  // The first voters of a farm have nothing to recover. (Steps may follow so closely that none is seen between.)
  if (part.state !== 'voter' || (before.state === 'seeking' && part.generation === 1)) return;
  const recovery = before.state === 'recovering' ? ` in ${part.atMs - before.atMs} ms` : '';
  const slot = `slot ${part.slot}, generation ${part.generation}`;
  const memory = `The ${part.records} records that it holds it read from the others${recovery}.`;
  const predecessor = lastVoters.get(part.slot);
  plot.mark(`${number} votes`, 'good');
  if (predecessor !== undefined && predecessor !== number) {
    const killedMs = killedAtMs.get(predecessor);
    const after = killedMs === undefined ? '' : `, ${seconds(part.atMs - killedMs)} after that was killed`;
    log(`Server ${number} votes in place of server ${predecessor}${after}: ${slot}. ${memory}`, 'good');
  } else {
    log(`Server ${number} votes, ${seconds(part.atMs - first.atMs)} after its start: ${slot}. ${memory}`, 'good');
  }
  lookAt(number);
}

/** @param {import('./farm.js').ServerAnswer} server @param {Followed} known @param {FarmView} farm */
function tellReady(server, known, farm) {
  const { number, state, status } = server;
  const first = status?.history[0];
  if (status === null || first === undefined || known.isUp) return;
  const tookMs = status.atMs - first.atMs;
  if (state === 'up') {
    known.isUp = true;
    if (status.cluster.state !== 'learner') return;
    log(`Server ${number} is up after ${seconds(tookMs)}: a standby. It answers requests, and has no vote.`, 'good');
    lookAt(number);
  } else if (tookMs > LONG_START_MS && !known.isLong) {
    known.isLong = true;
    log(`Server ${number} is not ready ${seconds(tookMs)} after its start. ${farm.describe(server).note ?? ''}`, 'bad');
  }
}

/** Asks a server that has come up, past the turns, whether the session is as it was. @param {number} server */
async function lookAt(server) {
  const before = state?.session ?? null;
  if (before === null) return;
  const startMs = performance.now();
  for (;;) {
    /** @type {State | null} */
    const answer = await ask(`/demo/ask/${server}`).catch(() => null);
    // Clicks of meanwhile count: what it says is to be what the visitor saw last, or saw when it was asked.
    if (answer !== null) return tellSession(before, answer, state?.session ?? null);
    if (performance.now() > startMs + HEAL_MS) return;
    await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
  }
}

/** @param {number} ms */
function seconds(ms) {
  return `${(ms / 1000).toFixed(1)} s`;
}

/** @param {import('./farm.js').ServerAnswer[]} servers */
function logServers(servers) {
  for (const { number, pid, state, isCutOff } of servers) {
    const what =
      state === 'absent' ? 'not started: a standby' : `${state}${isCutOff ? ', cut off' : ''}, process ${pid}`;
    log(`Server ${number} is ${what}.`);
  }
}

/** @param {import('./farm.js').ServerAnswer[]} servers */
function takeSamples(servers) {
  for (const { number, status } of servers) {
    if (status === null) continue;
    plot.add(status.samples.map(([atMs, ms, isWrite]) => ({ atMs, ms, isWrite: isWrite === 1, server: number })));
    lastSampleMs[number - 1] = status.samples.at(-1)?.[0] ?? status.atMs;
    const current = document.querySelector(`input[name=traffic][value="${status.traffic}"]`);
    if (current instanceof HTMLInputElement && !changingTraffic) current.checked = true;
  }
  plot.draw();
  const [reads, writes] = [describe(plot.percentiles(false)), describe(plot.percentiles(true))];
  byId('reads', HTMLElement).textContent = reads;
  byId('writes', HTMLElement).textContent = writes;
  byId('rate', HTMLElement).textContent = `${cards.operationsPerSecond}/s`;
  byId('plot', HTMLCanvasElement).setAttribute(
    'aria-label',
    `Latency of store operations over the last minute. Last ten seconds: reads ${reads}, writes ${writes}.`,
  );
}

/** @param {{ p50: number, p99: number } | null} percentiles */
function describe(percentiles) {
  if (percentiles === null) return '–';
  return `p50 ${duration(percentiles.p50)}, p99 ${duration(percentiles.p99)}`;
}

/** @param {number} ms */
function duration(ms) {
  if (ms >= 999.5) return `${(ms / 1000).toPrecision(2)} s`;
  return `${ms.toPrecision(ms < 99.5 ? 2 : 3)} ms`;
}

/** @param {Session | null} session */
function describeSession(session) {
  return session === null ? 'nobody is logged in' : `${session.user}, ${count(session.cart)} in the cart`;
}

/** @param {number} n */
function times(n) {
  return n === 1 ? 'once' : n === 2 ? 'twice' : `${n} times`;
}

/** @param {Record<string, number>} cart */
function count(cart) {
  const n = Object.values(cart).reduce((sum, quantity) => sum + quantity, 0);
  return n === 0 ? 'nothing' : n === 1 ? '1 thing' : `${n} things`;
}

byId('login', HTMLFormElement).addEventListener('submit', async (event) => {
  event.preventDefault();
  const answer = await click('/login', { name: byId('name', HTMLInputElement).value });
  if (answer?.session) log(`Logged in as ${answer.session.user} on server ${answer.server.number}.`);
});

byId('logout', HTMLElement).addEventListener('click', async () => {
  const answer = await click('/logout', {});
  if (answer !== null) log(`Logged out on server ${answer.server.number}, and so on all of them.`);
});

byId('again', HTMLElement).addEventListener('click', () => click('/api/state'));

byId('parallel', HTMLElement).addEventListener('click', async () => {
  if (state?.session == null) return;
  const { goods, session } = state;
  const answers = await Promise.all(goods.map((item) => click('/cart', { item, change: 1 })));
  const after = await click('/api/state');
  if (after?.session == null) return;
  const cart = after.session.cart;
  const kept = goods.filter((item) => (cart[item] ?? 0) === (session.cart[item] ?? 0) + 1).length;
  const servers = [...new Set(answers.flatMap((answer) => answer?.server.number ?? []))].sort().join(', ');
  log(
    `${goods.length} changes at once on servers ${servers}: ${kept} of ${goods.length} kept.`,
    kept === goods.length ? 'good' : 'bad',
  );
});

byId('slow', HTMLElement).addEventListener('click', async () => {
  const item = state?.goods[0];
  const slow = click('/cart', { item, change: 1, delayMs: SLOW_MS });
  log(`A slow request has loaded the session; it will save it in ${SLOW_MS / 1000} s. Logging out now.`);
  // The slow request is to have loaded the session before the logout ends it.
  await new Promise((resolve) => setTimeout(resolve, SLOW_MS / 4));
  await click('/logout', {});
  await slow;
  const after = await click('/api/state');
  if (after === null) return;
  if (after.session === null) log('The slow request has saved. Still logged out: yes.', 'good');
  else log('The slow request has saved. Still logged out: no.', 'bad');
});

let changingTraffic = false;
byId('traffic', HTMLElement).addEventListener('change', async (event) => {
  changingTraffic = true;
  try {
    await ask(`/demo/traffic/${/** @type {HTMLInputElement} */ (event.target).value}`, {});
  } catch (error) {
    log(/** @type {Refusal} */ (error).message, 'bad');
  }
  changingTraffic = false;
});

/**
 * One after the other, so that slow answers don't pile up.
 * @param {() => Promise<void>} task @param {() => number} pauseMs
 */
async function repeat(task, pauseMs) {
  for (;;) {
    await task();
    await new Promise((resolve) => setTimeout(resolve, pauseMs()));
  }
}

repeat(poll, () => POLL_MS);
repeat(watchServers, () => (isMoving ? EAGER_MS : POLL_MS));
