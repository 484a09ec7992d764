// @ts-check
/** What a race of learning rates came to: J by step, and a table. */

import { classes, css } from "../colours.js";
import { h, s, shown, table } from "../dom.js";

const DASHES = ["none", "7 3", "2 3", "9 3 2 3", "4 4", "1 2"];

/** How the lines of the race differ: by colour and by dashes. @param {number} k */
export const style = (k) => ({ stroke: css(classes()[k]), "stroke-dasharray": DASHES[k] });

/** @param {number} k */
const sample = (k) => s("svg", { class: "sample", viewBox: "0 0 26 6", "aria-hidden": "true" }, s("path", { class: "run", d: "M0 3H26", ...style(k) }));

/** @param {any} run */
function outcome({ J, diverged }) {
  if (diverged) return "diverged";
  const share = 100 * (1 - J[J.length - 1] / J[0]);
  return `J fell by ${share > 99.95 ? "more than 99.9" : share < 0.05 ? "less than 0.1" : share.toFixed(1)} %`;
}

/** J by step, for one loss. @param {any[]} runs */
function chart(runs) {
  const [width, height, left, top, bottom] = [440, 150, 76, 10, 24];
  const last = Math.max(1, ...runs.map((run) => run.steps));
  const high = 1.25 * Math.max(1e-12, ...runs.map((run) => run.J[0]));
  const x = (/** @type {number} */ step) => left + (step / last) * (width - left - 18);
  const y = (/** @type {number} */ J) => top + (1 - Math.min(J, 1.1 * high) / high) * (height - top - bottom);
  const path = (/** @type {any} */ { J }) => `M${J.filter((/** @type {any} */ value) => value !== null).map((/** @type {number} */ value, /** @type {number} */ k) => `${x(k).toFixed(1)} ${y(value).toFixed(1)}`).join("L")}`;
  const name = runs[0].loss.replaceAll("_", " ");
  const clip = `race-${runs[0].loss}`;
  return h("figure", { class: "chart" }, h("figcaption", {}, h("strong", {}, `J by ${name}, step by step`)),
    s("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `J by step: ${runs.map((run) => `learning rate ${shown(run.rate)}, ${outcome(run)}`).join("; ")}` },
      s("clipPath", { id: clip }, s("rect", { x: left, y: top, width: width - left, height: height - top - bottom + 2 })),
      [0, 1].map((share) => [s("path", { class: "grid", d: `M${left} ${y(share * high)}H${width - 18}` }),
        s("text", { x: left - 6, y: y(share * high) + 4, "text-anchor": "end" }, shown(share * high))]),
      s("text", { x: left, y: height - 6 }, "step 0"), s("text", { x: width - 18, y: height - 6, "text-anchor": "end" }, `step ${last}`),
      s("g", { "clip-path": `url(#${clip})` }, runs.map((run, k) => s("path", { class: "run", d: path(run), ...style(k) })))));
}

/**
 * @param {any[]} all every path
 * @param {any} known the surface they are on
 */
export function results(all, { places, losses }) {
  const by = losses.map((/** @type {any} */ { name }) => all.filter((run) => run.loss === name));
  const several = by.length > 1;
  const headings = ["Learning rate", ...(several ? ["Loss"] : []), "Outcome", "J at the start", "J at the end", "Steps",
    ...places.map((/** @type {string} */ name) => `${name} at the end`)];
  const row = (/** @type {any} */ run, /** @type {number} */ k) => h("tr", {},
    h("th", { scope: "row" }, sample(k), ` ${shown(run.rate)}`),
    several && h("td", {}, run.loss.replaceAll("_", " ")),
    h("td", { class: run.diverged && "diverged" }, outcome(run)),
    [shown(run.J[0]), shown(run.J[run.J.length - 1]) || "not finite", run.steps, ...run.points[run.points.length - 1].map(shown)]
      .map((text) => h("td", {}, String(text))));
  return [
    h("div", { class: "charts" }, by.map(chart)),
    table("The race", h("strong", {}, "The race"), headings, by.flatMap((/** @type {any[]} */ runs) => runs.map(row))),
    h("p", { class: "note" }, "Diverged: J at the end is larger than at the start, or no longer finite."),
  ];
}
