// @ts-check
/** The cost of one example, of a mini-batch and of all examples, on one axis. */

import { count, h, s, shown, table } from "../dom.js";

const [HEIGHT, LEFT, RIGHT, BOTTOM, TOP] = [250, 76, 10, 26, 10];

/** @param {any} told what the server recorded */
function lines({ one, batch, full, batch_size: size, m }) {
  return [
    { ...one, kind: "one", name: "one example", sign: "L(i)", examples: 1 },
    { ...batch, kind: "batch", name: "a mini-batch", sign: "J_MB", examples: size },
    { ...full, kind: "full", name: "all examples", sign: "J", examples: m },
  ];
}

/** A unit of the drawing is a pixel. @param {number[]} steps @param {any[]} all @param {number} width */
function chart(steps, all, width) {
  const [first, last] = [steps[0], Math.max(steps[steps.length - 1], steps[0] + 1)];
  const values = all.flatMap(({ J }) => J.filter(Number.isFinite));
  const high = Math.max(...values, 1e-12);
  const across = (/** @type {number} */ step) => LEFT + ((step - first) / (last - first)) * (width - LEFT - RIGHT);
  const up = (/** @type {number} */ J) => TOP + (1 - J / high) * (HEIGHT - TOP - BOTTOM);
  const path = (/** @type {any} */ { J }) => {
    let text = "";
    J.forEach((/** @type {any} */ value, /** @type {number} */ k) => {
      if (value !== null) text += `${text ? "L" : "M"}${across(steps[k]).toFixed(1)} ${up(value).toFixed(1)}`;
    });
    return text;
  };
  const means = all.map(({ name, mean, deviation }) => `${name} ${shown(mean)}, deviation ${shown(deviation)}`).join("; ");
  return h("figure", { class: "chart" },
    h("figcaption", {}, h("strong", {}, "Cost before each step"), all.map(({ kind, name }) => h("span", { class: "key" },
      s("svg", { viewBox: "0 0 20 6", "aria-hidden": "true" }, s("path", { class: `line ${kind}`, d: "M0 3H20" })), name))),
    s("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, style: `max-width: ${width}px`, role: "img", "aria-label": `Three costs from step ${first} to ${last}: ${means}` },
      [0, 0.5, 1].map((share) => [s("path", { class: "grid", d: `M${LEFT} ${up(share * high)}H${width - RIGHT}` }),
        s("text", { x: LEFT - 6, y: up(share * high) + 4, "text-anchor": "end" }, shown(share * high))]),
      s("text", { x: LEFT, y: HEIGHT - 6 }, `step ${count(first)}`),
      s("text", { x: width - RIGHT, y: HEIGHT - 6, "text-anchor": "end" }, `step ${count(last)}`),
      all.map((line) => s("path", { class: `line ${line.kind}`, d: path(line) }))));
}

/** @param {any[]} all */
function numbers(all) {
  const headings = ["Cost of", "Examples", "Strays from J by", "Standard deviation", "Mean", "Written"];
  return table("Three costs", h("strong", {}, "Three costs"), headings, all.map(({ name, sign, examples, mean, deviation, strays }) =>
    h("tr", {}, h("th", { scope: "row" }, name), [count(examples), shown(strays), shown(deviation), shown(mean), sign].map((text) => h("td", {}, text)))));
}

/** What is to be learned from the numbers. @param {any} told */
function lesson({ one, batch, batch_size: size, m }) {
  if (size >= m) return "The mini-batch holds all examples here, so its cost is J itself; choose a smaller batch size to see it stray.";
  if (size === 1) return "A mini-batch of one example is just that example; choose a larger batch size to see the noise fall.";
  if (!batch.strays) return "";
  return `One example strays ${shown(one.strays / batch.strays)} times as far from J as a mini-batch of ${size}; `
    + `with examples drawn at random the square root of ${size}, ${shown(Math.sqrt(size))}, is to be expected, and somewhat more if a batch is a large part of all.`;
}

/** @type {import("../views.js").View} */
export const costs = {
  name: "costs",
  title: "Three costs",
  why: "The cost of one example is noisy, that of all examples is slow to compute; a mini-batch lies between (lecture 001). "
    + "All three are taken at the same weights, before the step and without dropout; the one example is the first of its mini-batch.",
  suits: () => "",
  make: (lab, box) => async () => {
    const told = await lab.socket.ask("costs");
    if (!told.steps.length) {
      box.replaceChildren(h("p", { class: "note" }, "Train to see the three costs drawn here."));
      return;
    }
    const all = lines(told);
    box.replaceChildren(chart(told.steps, all, Math.max(280, Math.min(960, box.clientWidth))), h("p", { class: "note lesson" }, lesson(told)), numbers(all),
      h("p", { class: "note" }, `The last ${count(told.steps.length)} steps at which the costs were recorded: each of the first steps, and every step when you go step by step or slowly; at full speed only some, so that training does not wait. Strays: the root of the mean square of the distance from the cost of all.`));
  },
};
