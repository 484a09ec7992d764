// @ts-check
/** The dimension table, and W and b as tables whose cells can be typed over. */

import { at, h, say, shown } from "./dom.js";
import { live } from "./live.js";

const MOST = 12;

/** @param {import("./lab.js").Lab} lab */
export function dimensions(lab) {
  lab.on("state", () => {
    const { n, experiment, parameters } = lab.state;
    const shape = (/** @type {number[][]} */ array) => `(${array.length}, ${array[0].length})`;
    let total = 0;
    const rows = n.slice(1).map((/** @type {number} */ units, /** @type {number} */ k) => {
      const l = k + 1;
      const [W, b] = [parameters[`W${l}`], parameters[`b${l}`]];
      const count = W.length * W[0].length + b.length;
      total += count;
      const g = experiment.layers[k]?.activation ?? experiment.output.activation;
      return [l === n.length - 1 ? `${l}, output` : String(l), String(units), g, shape(W), shape(b), `(${units}, m)`, String(count)];
    });
    const headings = ["Layer", "Units", "g", "W", "b", "Z and A", "Parameters"];
    at("dimensions").replaceChildren(h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "Dimensions" }, h("table", { class: "plain" },
      h("caption", {}, `Dimensions: ${total} parameters`),
      h("thead", {}, h("tr", {}, headings.map((text) => h("th", { scope: "col" }, text)))),
      h("tbody", {}, rows.map((/** @type {string[]} */ [first, ...others]) => h("tr", {}, h("th", { scope: "row" }, first), others.map((text) => h("td", {}, text))))))));
  });
}

/** @param {import("./lab.js").Lab} lab */
export function parameters(lab) {
  /** @typedef {{input: HTMLInputElement, name: string, row: number, column: number}} Cell */
  /** @type {Cell[][]} of each layer */
  let cells = [];
  /** @type {(() => void)[]} what follows the numbers: the tables of each layer by themselves */
  let following = [];

  /** @param {string} letter @param {number} layer @param {string[]} columns */
  function table(letter, layer, columns) {
    const values = lab.state.parameters[`${letter}${layer}`];
    const rows = values.slice(0, MOST);
    const width = Math.min(values[0].length, MOST);
    const left = values.length * values[0].length - rows.length * width;
    return h("div", { class: "scroll" }, h("table", { class: "matrix" },
      h("caption", {}, `${letter}[${layer}]`, left ? ` (the first ${rows.length} × ${width})` : ""),
      h("thead", {}, h("tr", {}, h("td"), columns.slice(0, width).map((text) => h("th", { scope: "col" }, text)))),
      h("tbody", {}, rows.map((/** @type {number[]} */ row, /** @type {number} */ i) => h("tr", {}, h("th", { scope: "row" }, String(i)),
        row.slice(0, width).map((value, j) => h("td", {}, cell(letter, layer, i, j, value))))))));
  }

  /** @param {string} letter @param {number} layer @param {number} row @param {number} column @param {number} value */
  function cell(letter, layer, row, column, value) {
    const input = h("input", {
      inputmode: "decimal", autocomplete: "off", spellcheck: "false", size: 7, value: plain(value),
      "aria-label": `${letter}[${layer}], row ${row}, column ${column}`,
      onchange: async () => {
        const typed = Number(input.value.replace("−", "-").replace(",", "."));
        if (!Number.isFinite(typed) || input.value.trim() === "") {
          say(`${letter}[${layer}][${row}, ${column}] must be a number; got ${input.value || "nothing"}.`);
          input.value = plain(lab.state.parameters[`${letter}${layer}`][row][column]);
          return;
        }
        lab.take(await lab.ask("set_cell", { letter, layer, row, column, value: typed }));
        say(`${letter}[${layer}][${row}, ${column}] is now ${shown(typed)}. J = ${shown(lab.state.J)}.`);
      },
    });
    cells[layer].push({ input, name: `${letter}${layer}`, row, column });
    return input;
  }

  const plain = (/** @type {number} */ value) => shown(value).replaceAll("−", "-");

  let layout = "";
  function draw() {
    const { n, data } = lab.state;
    if (layout === n.join("-")) return update();
    layout = n.join("-");
    cells = n.map(() => []);
    const pairs = n.slice(1).map((/** @type {number} */ _, /** @type {number} */ k) => {
      const from = Array.from({ length: n[k] }, (__, j) => (k === 0 ? data.inputs?.[j] ?? `x${j + 1}` : String(j)));
      return h("div", { class: "pair" }, table("W", k + 1, from), table("b", k + 1, ["0"]));
    });
    at("parameters").replaceChildren(...pairs);
    following = pairs.map((/** @type {Element} */ pair, /** @type {number} */ k) => live(pair, 4, () => update(cells[k + 1])));
  }
  function update(those = cells.flat()) {
    for (const { input, name, row, column } of those) {
      const value = plain(lab.state.parameters[name][row][column]);
      if (input.value !== value && document.activeElement !== input) input.value = value;
    }
  }
  lab.on("state", draw);
  lab.on("numbers", () => following.forEach((follow) => follow()));
  lab.on("play", () => lab.state.playing || update());
}
