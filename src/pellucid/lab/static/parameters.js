// @ts-check
/** The dimension table, and W and b as tables whose cells can be typed over. */

import { at, h, number, say, shown } from "./dom.js";
import { live } from "./live.js";

/** Rows and columns of a table; of a larger array it is a window that can be moved. */
const MOST = 16;

/** The numbers of a layer up to which its tables are open from the start. */
const CALM = 60;

/** @param {number[][]} array */
const sizeOf = (array) => `${array.length} × ${array[0].length}`;

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
  /** @typedef {{input: HTMLInputElement, row: number, column: number}} Cell */
  /** @type {Map<string, Cell[]>} what is in the table of each array */
  const cells = new Map();
  /** @type {Set<number>} the large layers that were opened */
  const opened = new Set();
  /** @type {(() => void)[]} what follows the numbers: the tables of each layer by themselves */
  let following = [];

  /** @param {string} letter @param {number} layer @param {(column: number) => string} heading */
  function table(letter, layer, heading) {
    const values = lab.state.parameters[`${letter}${layer}`];
    const from = [0, 0];
    const most = [values.length - MOST, values[0].length - MOST];
    const inside = h("div", { class: "scroll" });
    const fill = () => inside.replaceChildren(windowOf(letter, layer, heading, from));
    const move = (/** @type {number} */ way, /** @type {string} */ label) => most[way] > 0 && number(label, 0, (place) => {
      from[way] = Math.floor(place);
      fill();
    }, { min: 0, max: most[way], step: 1 });
    fill();
    const tools = [move(0, "From row"), move(1, "From column")].filter(Boolean);
    return h("div", { class: "typed" }, tools.length > 0 && h("div", { class: "row", role: "group", "aria-label": `Visible part of ${letter}[${layer}]` }, tools), inside);
  }

  /** @param {string} letter @param {number} layer @param {(column: number) => string} heading @param {number[]} from its first row and column */
  function windowOf(letter, layer, heading, [top, left]) {
    const values = lab.state.parameters[`${letter}${layer}`];
    const rows = range(top, Math.min(values.length, top + MOST));
    const columns = range(left, Math.min(values[0].length, left + MOST));
    const part = rows.length < values.length || columns.length < values[0].length;
    cells.set(`${letter}${layer}`, []);
    return h("table", { class: "matrix" },
      h("caption", {}, `${letter}[${layer}]`, part ? `, rows ${top} to ${top + rows.length - 1}, columns ${left} to ${left + columns.length - 1} of ${sizeOf(values)}` : ""),
      h("thead", {}, h("tr", {}, h("td"), columns.map((column) => h("th", { scope: "col" }, heading(column))))),
      h("tbody", {}, rows.map((row) => h("tr", {}, h("th", { scope: "row" }, String(row)),
        columns.map((column) => h("td", {}, cell(letter, layer, row, column)))))));
  }

  /** @param {string} letter @param {number} layer @param {number} row @param {number} column */
  function cell(letter, layer, row, column) {
    const now = () => plain(lab.state.parameters[`${letter}${layer}`][row][column]);
    const input = h("input", {
      inputmode: "decimal", autocomplete: "off", spellcheck: "false", size: 7, value: now(),
      "aria-label": `${letter}[${layer}], row ${row}, column ${column}`,
      onchange: async () => {
        const typed = Number(input.value.replace("−", "-").replace(",", "."));
        if (!Number.isFinite(typed) || input.value.trim() === "") {
          say(`${letter}[${layer}][${row}, ${column}] must be a number; got ${input.value || "nothing"}.`);
          input.value = now();
          return;
        }
        lab.take(await lab.ask("set_cell", { letter, layer, row, column, value: typed }));
        say(`${letter}[${layer}][${row}, ${column}] is now ${shown(typed)}. J = ${shown(lab.state.J)}.`);
      },
    });
    cells.get(`${letter}${layer}`)?.push({ input, row, column });
    return input;
  }

  const plain = (/** @type {number} */ value) => shown(value).replaceAll("−", "-");

  /** The tables of a layer; those of a large one wait to be opened. @param {number} layer */
  function tables(layer) {
    const { parameters: { [`W${layer}`]: W, [`b${layer}`]: b }, data } = lab.state;
    const input = (/** @type {number} */ column) => (layer === 1 ? data.inputs?.[column] ?? `x${column + 1}` : String(column));
    const pair = h("div", { class: "pair" }, table("W", layer, input), table("b", layer, String));
    const count = W.length * W[0].length + b.length;
    if (count <= CALM) return { pair, box: pair };
    const box = h("details", {
      open: opened.has(layer), ontoggle: () => (box.open ? opened.add(layer) : opened.delete(layer)),
    }, h("summary", {}, `W[${layer}] ${sizeOf(W)}, b[${layer}] ${sizeOf(b)}: ${count} numbers`), pair);
    return { pair, box };
  }

  let [layout, network] = ["", ""];
  function draw() {
    const { n, data } = lab.state;
    const now = JSON.stringify([n, data.inputs]);
    if (layout === now) return update();
    layout = now;
    const other = JSON.stringify([n.length, data.inputs]);
    if (network !== other) opened.clear(); // of other layers
    network = other;
    cells.clear();
    const layers = range(1, n.length).map(tables);
    at("parameters").replaceChildren(...layers.map(({ box }) => box));
    following = layers.map(({ pair }, k) => live(pair, 4, () => update([`W${k + 1}`, `b${k + 1}`])));
  }
  function update(names = [...cells.keys()]) {
    for (const name of names) {
      const values = lab.state.parameters[name];
      for (const { input, row, column } of cells.get(name) ?? []) {
        const value = plain(values[row][column]);
        if (input.value !== value && document.activeElement !== input) input.value = value;
      }
    }
  }
  lab.on("state", draw);
  lab.on("numbers", () => following.forEach((follow) => follow()));
  lab.on("play", () => lab.state.playing || update());
}

/** @param {number} from @param {number} to */
const range = (from, to) => Array.from({ length: to - from }, (_, k) => from + k);
