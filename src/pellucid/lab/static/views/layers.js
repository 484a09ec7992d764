// @ts-check
/** Activations and gradients by layer: how large what comes forward is, and what goes back. */

import { choice, h, s, shown } from "../dom.js";
import { ticks } from "./scales.js";

const [WIDTH, HEIGHT, EDGE, FOOT] = [360, 64, 10, 18];

/** @typedef {{size: number, mean: number, std: number, zero: number, counts: number[]}} Values */
/** @typedef {{low: number, high: number}} Axis */

/** @param {number} value @param {Axis} axis */
const across = (value, { low, high }) => EDGE + ((value - low) / (high - low)) * (WIDTH - 2 * EDGE);

/** A share as per cent, which is 0 or 100 only where it is exactly so. @param {number} share */
function percent(share) {
  if (share > 0 && share < 0.001) return "< 0.1 %";
  if (share < 1 && share > 0.999) return "> 99.9 %";
  return `${shown(Math.round(1000 * share) / 10)} %`;
}

/** Places and names of the ticks of an axis. @param {Axis} axis @param {boolean} powers @returns {[number, string][]} */
function named({ low, high }, powers) {
  if (!powers) return ticks(low, high).map((value) => [value, shown(value)]);
  const every = Math.ceil((high - low) / 4);
  const found = [];
  for (let power = high; power >= low; power -= every) found.push(/** @type {[number, string]} */ ([power, `10^${power}`.replace("-", "−")]));
  return found;
}

/** @param {string} text "10^−3" with its exponent raised */
function power(text) {
  const [base, exponent] = text.split("^");
  return exponent === undefined ? [base] : [base, s("tspan", { dy: "-4", "font-size": "9" }, exponent)];
}

/**
 * One histogram; all of a column have the same axes.
 * @param {string} label @param {Values} values @param {Axis} axis @param {number} most the largest share of a bar
 * @param {{powers: boolean, mark: number | null, last: boolean}} how
 */
function histogram(label, values, axis, most, { powers, mark, last }) {
  const foot = last ? FOOT : 4;
  const drawing = s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT + foot}`, role: "img", "aria-label": label });
  for (const [value, text] of named(axis, powers)) {
    const x = across(value, axis);
    drawing.append(s("path", { class: "grid", d: `M${x} 0V${HEIGHT}` }));
    const anchor = x < 30 ? "start" : x > WIDTH - 30 ? "end" : "middle";
    if (last) drawing.append(s("text", { x: anchor === "start" ? 0 : anchor === "end" ? WIDTH : x, y: HEIGHT + 15, "text-anchor": anchor }, ...power(text)));
  }
  const width = (WIDTH - 2 * EDGE) / values.counts.length;
  let bars = "";
  values.counts.forEach((count, k) => {
    const height = (count / values.size / most) * (HEIGHT - 4);
    if (count) bars += `M${(EDGE + k * width + 0.5).toFixed(1)} ${HEIGHT}v${-Math.max(height, 1).toFixed(1)}h${(width - 1).toFixed(1)}V${HEIGHT}z`;
  });
  drawing.append(s("path", { class: "bars", d: bars }), s("path", { class: "floor", d: `M0 ${HEIGHT}H${WIDTH}` }));
  if (mark !== null && Number.isFinite(mark) && mark >= axis.low && mark <= axis.high) drawing.append(s("path", { class: "mark", d: `M${across(mark, axis)} 0V${HEIGHT}` }));
  return drawing;
}

/**
 * @param {string} title @param {string} letter @param {any[]} layers @param {(layer: any) => Values} of
 * @param {Axis} axis @param {boolean} powers of ten: the sizes of gradients
 */
function column(title, letter, layers, of, axis, powers) {
  const most = Math.max(1e-9, ...layers.flatMap((each) => of(each).counts.map((/** @type {number} */ count) => count / of(each).size)));
  return h("div", { class: "histograms" }, h("h3", {}, title), layers.map((each, k) => {
    const values = of(each);
    const rms = Math.hypot(values.mean, values.std);
    const notes = [powers ? `rms ${shown(rms)}` : `mean ${shown(values.mean)}, std ${shown(values.std)}`];
    if (values.zero) notes.push(`${percent(values.zero)} exactly 0`);
    const name = `${letter}[${each.layer}]`;
    return h("figure", {}, h("figcaption", {}, h("strong", {}, name), h("span", {}, notes.join(", "))),
      histogram(`${name}: ${notes.join(", ")}`, values, axis, most, { powers, mark: powers ? (rms ? Math.log10(rms) : null) : values.mean, last: k === layers.length - 1 }));
  }));
}

/** @param {any} found */
function table({ gradient, layers, examples, of }) {
  const headings = ["Layer", "g", "Units", "A mean", "A std", "A = 0", "Dead", "Saturated", `${gradient} mean`, `${gradient} std`, `${gradient} = 0`, "rms of dW", "|W|", "Step"];
  const row = (/** @type {any} */ each) => h("tr", {}, h("th", { scope: "row" }, String(each.layer)), [
    each.g, String(each.units), shown(each.A.mean), shown(each.A.std), percent(each.A.zero), `${each.dead} of ${each.units}`, `${each.saturated} of ${each.units}`,
    shown(each.gradient.mean), shown(each.gradient.std), percent(each.gradient.zero), shown(each.dW_rms), shown(each.W_norm), shown(each.step),
  ].map((text) => h("td", {}, text)));
  const those = examples === of ? `all ${of} training examples` : `${examples} of ${of} training examples, evenly spaced`;
  return h("table", { class: "plain" },
    h("caption", {}, `Of ${those}`),
    h("thead", {}, h("tr", {}, headings.map((text) => h("th", { scope: "col" }, text)))), h("tbody", {}, layers.map(row)));
}

/** @type {import("../views.js").View} */
export const layers = {
  name: "layers",
  title: "Layers",
  why: "What goes forward, and what comes back: all layers on the same axis. If gradients shrink from layer to layer on their way back, the first layers hardly learn.",
  suits: () => "",
  make: (lab, box) => {
    let gradient = "dZ";
    const drawings = h("div", { class: "by-layer" });
    const numbers = h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "Table of the layers" });
    const draw = async () => {
      const found = await lab.ask("layers", { gradient });
      drawings.replaceChildren(
        column("Forward: activations", "A", found.layers, (each) => each.A, found.A, false),
        column("Back: sizes of the gradients", gradient, found.layers, (each) => each.gradient, found.log, true));
      numbers.replaceChildren(table(found));
    };
    box.append(h("div", { class: "row" }, choice("Gradient", [["dZ", "dZ, of each example"], ["dW", "dW, of the weights"]], gradient, (name) => { gradient = name; draw(); })),
      drawings, numbers,
      h("p", { class: "note" }, "Without dropout. The upright line is the mean of A, and the root mean square (rms) of a gradient. Dead units are 0 for every example, saturated ones flat for 95 % of them. The step is how far an update moves W, as a share of |W|: for gradient descent α |dW| / |W|; Adam and similar optimizers move every weight by about α; a |W| below ½ √n counts as that much. A ten-thousandth to a hundredth is usual."));
    return draw;
  },
};
