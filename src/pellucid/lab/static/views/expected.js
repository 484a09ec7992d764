// @ts-check
/** Expected against actual outputs, for numbers: on the diagonal all is right. */

import { h, s, shown, table } from "../dom.js";
import { PARTS, parts } from "./parts.js";
import { ticks } from "./scales.js";

const [SIZE, LEFT, FOOT, EDGE] = [340, 52, 26, 14];
const MOST = 600;

/** @param {number[][]} rows @param {number[]} examples */
const values = (rows, examples) => examples.flatMap((k) => rows.map((row) => row[k]));

/** @param {number} low @param {number} high */
function axes(low, high) {
  const x = (/** @type {number} */ value) => LEFT + ((value - low) / (high - low)) * (SIZE - LEFT - EDGE);
  const y = (/** @type {number} */ value) => EDGE + ((high - value) / (high - low)) * (SIZE - FOOT - 2 * EDGE);
  return { x, y };
}

/** @param {any} data @param {Record<string, number[]>} examples */
function scatter({ A, Y }, examples) {
  const all = Object.values(examples).flatMap((some) => [...values(A, some), ...values(Y, some)]).filter(Number.isFinite);
  let [low, high] = [Infinity, -Infinity];
  for (const value of all) [low, high] = [Math.min(low, value), Math.max(high, value)];
  if (!(high > low)) [low, high] = [(low || 0) - 0.5, (low || 0) + 0.5];
  const { x, y } = axes(low, high);
  const drawing = s("svg", { class: "scatter", viewBox: `0 0 ${SIZE} ${SIZE}`, role: "img", "aria-label": "Actual against expected output; the numbers are in the table." });
  for (const value of ticks(low, high)) {
    drawing.append(s("path", { class: "grid", d: `M${x(low)} ${y(value)}H${x(high)}M${x(value)} ${y(low)}V${y(high)}` }),
      s("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, shown(value)),
      s("text", { x: x(value), y: y(low) + 16, "text-anchor": "middle" }, shown(value)));
  }
  drawing.append(s("text", { x: x(high), y: SIZE - EDGE / 2, "text-anchor": "end" }, "expected"), s("text", { x: LEFT - 6, y: 12, "text-anchor": "end" }, "actual"),
    s("path", { class: "diagonal", d: `M${x(low)} ${y(low)}L${x(high)} ${y(high)}` }));
  for (const [name, some] of Object.entries(examples)) {
    const every = Math.ceil(some.length / MOST);
    const few = some.filter((_, k) => k % every === 0);
    const [expected, actual] = [values(Y, few), values(A, few)];
    const dots = expected.map((value, k) => (Number.isFinite(actual[k]) ? `M${x(value).toFixed(1)} ${y(actual[k]).toFixed(1)}h0` : "")).join("");
    drawing.append(s("path", { class: `dots ${name}`, d: dots }));
  }
  return drawing;
}

/** @type {import("../views.js").View} */
export const expected = {
  name: "expected",
  title: "Expected and actual",
  why: "Each example at its expected output (to the right) and the network's output (upwards): on the diagonal they are the same.",
  suits: (lab) => (lab.state.data.task === "regression" ? "" : "The network predicts classes here; the confusion matrix shows them."),
  make: (lab, box) => async () => {
    const { data } = lab.state;
    const examples = parts(data);
    const found = await lab.ask("metrics");
    const key = (/** @type {string} */ name) => s("svg", { viewBox: "0 0 12 12", "aria-hidden": "true" }, s("path", { class: `dots ${name}`, d: "M6 6h0" }));
    const row = (/** @type {string} */ name) => h("tr", {}, h("th", { scope: "row" }, h("span", { class: "key" }, key(name), PARTS[name])),
      h("td", {}, String(examples[name].length)), h("td", {}, shown(found[name].root_mean_squared_error)), h("td", {}, shown(found[name].r2)));
    const cut = Object.values(examples).some((some) => some.length > MOST);
    box.replaceChildren(h("div", { class: "pair" },
      h("div", { class: "scroll" }, scatter(data, examples)),
      table("Table of the errors",
        `RMSE is the root of the mean squared error; R² is 1 if everything is right and 0 for always predicting the mean.${cut ? ` Of each part about ${MOST} examples are drawn.` : ""}`,
        ["Part", "Examples", "RMSE", "R²"], Object.keys(examples).map(row))));
  },
};
