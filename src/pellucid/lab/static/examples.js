// @ts-check
/** The examples as a table: inputs, expected and actual output; points of the plane can be typed over. */

import { onTheme } from "./colours.js";
import { at, h, say, shown } from "./dom.js";
import { live, write } from "./live.js";
import { paintImage } from "./pictures.js";
import { pointsOf, replacePoints, targetOf } from "./points.js";

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
        const points = pointsOf(lab);
        const typed = Number(input.value.replace("−", "-"));
        if (input.value.trim() === "" || !Number.isFinite(typed)) return void say(`${label} of example ${k} must be a number.`);
        points[k][column] = typed;
        replacePoints(lab, points);
      },
    });
    return input;
  }

  /** The class of example k, to be chosen. @param {number} k */
  function classChoice(k) {
    const { data } = lab.state;
    const select = h("select", {
      "aria-label": `expected output of example ${k}`,
      onchange: () => replacePoints(lab, pointsOf(lab).map((point, other) => (other === k ? [point[0], point[1], Number(select.value)] : point))),
    }, data.classes.map((/** @type {string} */ name, /** @type {number} */ value) => h("option", { value }, name)));
    select.value = String(targetOf(data, k));
    return select;
  }

  /** Example k where the inputs are an image. @param {number} k */
  function picture(k) {
    const { X, image } = lab.state.data;
    const canvas = h("canvas", { class: "pixels", role: "img", "aria-label": `Example ${k} as a picture` });
    paintImage(canvas, image, X.map((/** @type {number[]} */ row) => row[k]));
    return canvas;
  }

  function add() {
    const points = pointsOf(lab);
    start = Math.floor(points.length / PAGE) * PAGE;
    replacePoints(lab, [...points, [...points[points.length - 1]]]);
  }

  function draw() {
    const { data, n } = lab.state;
    const count = data.X[0].length;
    start = Math.min(start, Math.max(0, Math.floor((count - 1) / PAGE) * PAGE));
    const learned = new Set(data.training);
    const own = lab.flat;
    const names = data.image ? ["image"] : data.inputs;
    const outputs = data.Y.length === 1 ? [""] : data.classes;
    const wide = names.length > 12 ? 8 : names.length;
    const inputs = (/** @type {number} */ k) => (data.image ? h("td", {}, picture(k))
      : data.X.slice(0, wide).map((/** @type {number[]} */ row, /** @type {number} */ j) => h("td", {}, own ? editable(k, j, row[k], names[j]) : shown(row[k]))));
    const expected = (/** @type {number} */ k) => (own && data.Y.length > 1 ? h("td", {}, classChoice(k))
      : data.Y.map((/** @type {number[]} */ row) => h("td", {}, own ? editable(k, 2, row[k], "expected output") : shown(row[k]))));
    const turn = (/** @type {number} */ by, /** @type {string} */ text, /** @type {boolean} */ can) =>
      h("button", { class: "small", disabled: !can, onclick: () => { start += by; draw(); answers(); } }, text);
    at("table").replaceChildren(
      h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "Table of examples" }, h("table", { class: "plain" },
        h("caption", {}, own ? "Type over a number to change an example; the network then starts over." : "Inputs, expected and actual output."),
        h("thead", {}, h("tr", {}, ["Example", ...names.slice(0, wide), ...(wide < names.length ? [`${names.length - wide} more`] : []),
          ...(own ? ["expected"] : outputs.map((/** @type {any} */ name) => `expected ${name}`.trim())), ...Array.from({ length: n.at(-1) }, (_, k) => `actual ${outputs[k] ?? ""}`.trim()), "used for", ...(own ? ["change"] : [])]
          .map((text) => h("th", { scope: "col" }, text)))),
        h("tbody", {}, visible().map((k) => h("tr", {}, h("th", { scope: "row" }, String(k)),
          inputs(k),
          wide < names.length && h("td", {}, "…"),
          expected(k),
          Array.from({ length: n.at(-1) }, (_, row) => h("td", { class: "actual", "data-row": row, "data-column": k })),
          h("td", {}, learned.has(k) ? "training" : "validation"),
          own && h("td", {}, h("button", {
            class: "small", disabled: count === 1, "aria-label": `Remove example ${k}`,
            onclick: () => replacePoints(lab, pointsOf(lab).filter((__, other) => other !== k)),
          }, "Remove"))))))),
      ...(own ? [h("div", { class: "row" }, h("button", { onclick: add }, "Add an example"))] : []),
      ...(count <= PAGE ? [] : [h("div", { class: "row" }, turn(-PAGE, "Previous ten", start > 0), h("span", { class: "note" }, `${start} to ${Math.min(start + PAGE, count) - 1} of ${count}`),
        turn(PAGE, "Next ten", start + PAGE < count))]));
  }

  const all = () => { draw(); answers(); };
  lab.on("state", all);
  onTheme(all);
  lab.on("numbers", live(at("table"), 4, answers));
}
