// @ts-check
/** Looking closer: one view at a time, chosen by tabs. A new one is a module in views/ and a line here. */

import { onTheme } from "./colours.js";
import { at, h } from "./dom.js";
import { inTurn, live } from "./live.js";
import { confusion } from "./views/confusion.js";
import { costs } from "./views/costs.js";
import { expected } from "./views/expected.js";
import { hidden } from "./views/hidden.js";
import { layers } from "./views/layers.js";
import { surface } from "./views/surface.js";
import { weights } from "./views/weights.js";

/** @typedef {import("./lab.js").Lab} Lab */
/**
 * `suits` tells why there is nothing to see (a sentence), or is "". `make` puts the view into its box
 * once; what it returns draws it anew and may ask the server, never more than five times a second.
 * @typedef {{name: string, title: string, why: string, suits: (lab: Lab) => string,
 *   make: (lab: Lab, box: HTMLElement) => () => void | Promise<void>}} View
 */

/** @type {View[]} */
export const VIEWS = [confusion, expected, hidden, layers, weights, surface, costs];

const PAUSE = 200;

/** @param {Lab} lab */
export function views(lab) {
  const drawn = new Map();
  const tabs = h("div", { class: "tabs", role: "tablist", "aria-label": "Views" });
  const box = at("looks");
  for (const view of VIEWS) {
    const tab = h("button", {
      role: "tab", id: `tab-${view.name}`, "aria-controls": `view-${view.name}`, onclick: () => choose(view),
    }, view.title);
    const inside = h("div", { class: "view" });
    const missing = h("p", { class: "note" });
    const panel = h("div", { role: "tabpanel", id: `view-${view.name}`, "aria-labelledby": `tab-${view.name}`, tabindex: 0 },
      h("p", { class: "note" }, view.why), missing, inside);
    tabs.append(tab);
    drawn.set(view, { tab, panel, inside, missing, draw: null });
  }
  box.append(tabs, ...[...drawn.values()].map(({ panel }) => panel));
  tabs.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    const way = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!way) return;
    event.preventDefault();
    choose(VIEWS[(VIEWS.indexOf(chosen()) + way + VIEWS.length) % VIEWS.length]);
    drawn.get(chosen()).tab.focus();
  });

  const chosen = () => VIEWS.find(({ name }) => name === lab.view) ?? VIEWS.find(({ suits }) => !suits(lab)) ?? VIEWS[0];

  /** @param {View} view */
  function choose(view) {
    lab.view = view.name;
    lab.keepInLink();
    show();
  }

  function show() {
    for (const [view, { tab, panel }] of drawn) {
      const on = view === chosen();
      panel.hidden = !on;
      tab.setAttribute("aria-selected", String(on));
      tab.tabIndex = on ? 0 : -1;
    }
    refresh();
  }

  /** Draw the chosen view; while that goes on, or has just been done, only remember to draw it again. */
  const refresh = inTurn(async () => {
    await draw().catch(() => undefined); // what the server refused has been said
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
  });

  async function draw() {
    const view = chosen();
    const parts = drawn.get(view);
    const reason = view.suits(lab);
    parts.missing.textContent = reason;
    parts.missing.hidden = !reason;
    parts.inside.hidden = Boolean(reason);
    if (reason) return;
    parts.draw ??= view.make(lab, parts.inside);
    await parts.draw();
  }

  lab.on("state", show);
  lab.on("numbers", live(box, Infinity, refresh));
  onTheme(refresh);
  lab.on("view", show);
  show();
}
