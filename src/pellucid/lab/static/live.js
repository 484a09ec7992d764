// @ts-check
/** Drawing what changes while training: no more often than is of use, and only what is in sight. */

import { visible } from "./dom.js";

/**
 * A drawing that follows the numbers: called as often as they change, it draws the newest at most
 * `rate` times a second, waits while the element is off the screen, and leaves out nothing at the end.
 * @param {Element} element
 * @param {number} rate
 * @param {() => void} draw
 * @returns {() => void}
 */
export function live(element, rate, draw) {
  let [seen, wanted, waiting, due] = [true, false, false, 0];

  function now() {
    if (!wanted || !seen || waiting) return;
    const early = due - performance.now();
    if (early > 1) {
      waiting = true;
      setTimeout(() => { waiting = false; now(); }, early);
      return;
    }
    due = performance.now() + 1000 / rate;
    wanted = false;
    draw();
  }

  new IntersectionObserver((entries) => {
    seen = entries[entries.length - 1].isIntersecting;
    now();
  }, { rootMargin: "100px" }).observe(element);
  return () => { wanted = true; now(); };
}

/**
 * What takes time, one after the other: asked for while it goes on, it is done once more afterwards.
 * @param {() => Promise<any>} act
 * @returns {() => Promise<void>}
 */
export function inTurn(act) {
  let [busy, wanted] = [false, false];
  return async () => {
    wanted = true;
    if (busy) return;
    busy = true;
    while (wanted) {
      wanted = false;
      await act();
    }
    busy = false;
  };
}

/**
 * Set an attribute, or leave it alone where it is already so: the browser then has nothing to do.
 * @param {Element} element @param {string} name @param {string} value
 */
export function put(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** The same for its text. @param {Node} node @param {string} text */
export function write(node, text) {
  text = visible(text);
  if (node.textContent !== text) node.textContent = text;
}
