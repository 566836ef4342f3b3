// @ts-check

/**
 * The element with this id, of the kind that is asked for.
 * @template {HTMLElement} T
 * @param {string} id @param {new () => T} kind
 */
export function byId(id, kind) {
  const element = document.getElementById(id);
  if (element instanceof kind) return element;
  throw new TypeError(`The page has no ${kind.name} #${id}.`);
}

/**
 * A new element. What is given as text stays text.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag @param {string} className @param {...(string | Node)} children
 */
export function make(tag, className, ...children) {
  const element = document.createElement(tag);
  element.className = className;
  element.append(...children);
  return element;
}

/** A server as a coloured dot; its number says the same to those who don't see the colour. @param {number} server */
export function makeDot(server) {
  const dot = make('span', 'dot', String(server));
  dot.dataset.server = String(server);
  return dot;
}
