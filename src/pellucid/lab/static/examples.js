// @ts-check
/** The examples as a table: inputs, expected and actual output; points of the plane can be typed over. */

import { at, h, say, shown } from "./dom.js";
import { live, write } from "./live.js";
import { pointsOf } from "./map.js";

const PAGE = 10;

/** @param {import("./lab.js").Lab} lab */
export function examples(lab) {
  let start = 0;

  /** @returns {number[]} */
  const visible = () => Array.from({ length: Math.min(PAGE, lab.state.data.X[0].length - start) }, (_, k) => start + k);

  function answers() {
    const { A } = lab.state.data;
    at("table").querySelectorAll("td.actual").forEach((/** @type {HTMLElement} */ cell) => {
      write(cell, shown(A[Number(cell.dataset.row)][Number(cell.dataset.column)]));
    });
  }

  /** @param {number} k @param {number} column @param {number} value @param {string} label */
  function editable(k, column, value, label) {
    const input = h("input", {
      inputmode: "decimal", size: 7, autocomplete: "off", value: shown(value).replaceAll("−", "-"), "aria-label": `${label} of example ${k}`,
      onchange: () => {
        const points = pointsOf(lab.state.data);
        const typed = Number(input.value.replace("−", "-"));
        if (input.value.trim() === "" || !Number.isFinite(typed)) return void say(`${label} of example ${k} must be a number.`);
        points[k][column] = typed;
        replace(points);
      },
    });
    return input;
  }

  /** @param {number[][]} points */
  const replace = (points) => lab.change({ data: { ...lab.experiment.data, points } });

  function add() {
    const points = pointsOf(lab.state.data);
    start = Math.floor(points.length / PAGE) * PAGE;
    replace([...points, [...points[points.length - 1]]]);
  }

  function draw() {
    const { data, n } = lab.state;
    const count = data.X[0].length;
    start = Math.min(start, Math.max(0, Math.floor((count - 1) / PAGE) * PAGE));
    const learned = new Set(data.training);
    const names = data.inputs ?? data.X.map((/** @type {any} */ _, /** @type {number} */ k) => `x${k + 1}`);
    const own = lab.flat && data.Y.length === 1;
    const outputs = data.Y.length === 1 ? [""] : data.classes;
    const wide = names.length > 12 ? 8 : names.length;
    const turn = (/** @type {number} */ by, /** @type {string} */ text, /** @type {boolean} */ can) =>
      h("button", { class: "small", disabled: !can, onclick: () => { start += by; draw(); answers(); } }, text);
    at("table").replaceChildren(
      h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "Table of examples" }, h("table", { class: "plain" },
        h("caption", {}, own ? "Type over a number to change an example; the network then starts again." : "Inputs, expected and actual output."),
        h("thead", {}, h("tr", {}, ["Example", ...names.slice(0, wide), ...(wide < names.length ? [`${names.length - wide} more`] : []),
          ...outputs.map((/** @type {any} */ name) => `expected ${name}`.trim()), ...Array.from({ length: n.at(-1) }, (_, k) => `actual ${outputs[k] ?? ""}`.trim()), "used for", ...(own ? ["change"] : [])]
          .map((text) => h("th", { scope: "col" }, text)))),
        h("tbody", {}, visible().map((k) => h("tr", {}, h("th", { scope: "row" }, String(k)),
          data.X.slice(0, wide).map((/** @type {number[]} */ row, /** @type {number} */ j) => h("td", {}, own ? editable(k, j, row[k], names[j]) : shown(row[k]))),
          wide < names.length && h("td", {}, "…"),
          data.Y.map((/** @type {number[]} */ row) => h("td", {}, own ? editable(k, 2, row[k], "expected output") : shown(row[k]))),
          Array.from({ length: n.at(-1) }, (_, row) => h("td", { class: "actual", "data-row": row, "data-column": k })),
          h("td", {}, learned.has(k) ? "training" : "validation"),
          own && h("td", {}, h("button", {
            class: "small", disabled: count === 1, "aria-label": `Remove example ${k}`,
            onclick: () => replace(pointsOf(data).filter((__, other) => other !== k)),
          }, "Remove"))))))),
      ...(own ? [h("div", { class: "row" }, h("button", { onclick: add }, "Add an example"))] : []),
      ...(count <= PAGE ? [] : [h("div", { class: "row" }, turn(-PAGE, "Previous ten", start > 0), h("span", { class: "note" }, `${start} to ${Math.min(start + PAGE, count) - 1} of ${count}`),
        turn(PAGE, "Next ten", start + PAGE < count))]));
  }

  lab.on("state", () => { draw(); answers(); });
  lab.on("numbers", live(at("table"), 4, answers));
}
