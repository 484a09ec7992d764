// @ts-check
/** Which classes are taken for which: a table of counts, for training and validation. */

import { h, shown } from "../dom.js";
import { PARTS, parts } from "./parts.js";

/** The class of a column of A or Y: the largest row, or 0 and 1 about a half. @param {number[][]} rows @param {number} k */
function classOf(rows, k) {
  if (rows.length === 1) return rows[0][k] >= 0.5 ? 1 : 0;
  let best = 0;
  for (let row = 1; row < rows.length; row++) if (rows[row][k] > rows[best][k]) best = row;
  return best;
}

/** @param {any} data @param {number[]} examples @returns {number[][]} rows are the expected classes */
export function counts({ A, Y, classes }, examples) {
  const table = classes.map(() => classes.map(() => 0));
  for (const k of examples) table[classOf(Y, k)][classOf(A, k)] += 1;
  return table;
}

/** @param {string} title @param {string[]} classes @param {number[][]} table */
function drawn(title, classes, table) {
  const largest = Math.max(1, ...table.flat());
  const right = table.reduce((sum, row, k) => sum + row[k], 0);
  const all = table.flat().reduce((sum, count) => sum + count, 0);
  return h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": title }, h("table", { class: "confusion" },
    h("caption", {}, h("strong", {}, title), `${right} of ${all} right, ${shown(right / all)}`),
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "expected \\ said"), classes.map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, table.map((row, i) => h("tr", {}, h("th", { scope: "row" }, classes[i]), row.map((count, j) =>
      h("td", { class: i === j ? "right" : "wrong", style: `--share: ${count / largest}` }, String(count))))))));
}

/** @type {import("../views.js").View} */
export const confusion = {
  name: "confusion",
  title: "Confusion",
  why: "A row for each expected class, a column for each predicted class: the diagonal is right.",
  suits: (lab) => (lab.state.data.task === "regression" ? "The network predicts numbers here, not classes: see Expected and actual." : ""),
  make: (lab, box) => () => {
    const { data } = lab.state;
    box.replaceChildren(h("div", { class: "pair" }, Object.entries(parts(data)).map(([name, examples]) => drawn(PARTS[name], data.classes, counts(data, examples)))));
  },
};
