// @ts-check
/** The map: what the network says at every place of the plane, and the examples on it. */

import { classes, css, diverging, ink, mix, onTheme, paper } from "./colours.js";
import { at, choice, h, keepFocus, number, shown } from "./dom.js";
import { live } from "./live.js";
import { pointer, targetOf } from "./points.js";

/** @typedef {import("./lab.js").Lab} Lab */

const SIZE = 400;

const STEPS = 255;
/** @type {{undecided: number, ramp: Uint32Array, sure: Uint32Array[]} | null} colours as the bytes of a pixel, from one end to the other */
let shades = null;
onTheme(() => (shades = null));

function makeShades() {
  const ground = paper();
  /** @param {import("./colours.js").Colour} colour */
  const pixel = ([r, g, b]) => (0xff000000 | (b << 16) | (g << 8) | r) >>> 0;
  /** @param {(share: number) => import("./colours.js").Colour} colour */
  const table = (colour) => Uint32Array.from({ length: STEPS + 1 }, (_, k) => pixel(colour(k / STEPS)));
  const sure = classes().map((hue) => table((share) => mix(ground, hue, 0.12 + 0.5 * share)));
  return { undecided: pixel(ground), ramp: table((share) => diverging(share)), sure };
}

/**
 * Paint a boundary into a canvas of its own size, the largest x2 on top.
 * @param {any} canvas
 * @param {{shape: number[], values: Float32Array}} field
 * @param {[number, number]} range the values of the two ends of the colours
 */
export function paint(canvas, { shape, values }, [low, high]) {
  const size = shape[shape.length - 1];
  const layers = shape.length === 3 ? shape[0] : 1;
  const cells = size * size;
  if (canvas.width !== size || canvas.height !== size) canvas.width = canvas.height = size;
  const context = canvas.getContext("2d");
  const image = context.createImageData(size, size);
  const pixels = new Uint32Array(image.data.buffer);
  const { undecided, ramp, sure } = (shades ??= makeShades());
  /** @param {Uint32Array} table @param {number} share */
  const at = (table, share) => (Number.isFinite(share) ? table[Math.round(STEPS * Math.max(0, Math.min(1, share)))] : undecided);
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      const cell = (size - 1 - row) * size + column;
      let colour;
      if (layers === 1) colour = at(ramp, (values[cell] - low) / (high - low));
      else {
        let best = 0;
        for (let k = 1; k < layers; k++) if (values[k * cells + cell] > values[best * cells + cell]) best = k;
        colour = at(sure[best % sure.length], (values[best * cells + cell] - 1 / layers) / (1 - 1 / layers));
      }
      pixels[row * size + column] = colour;
    }
  }
  context.putImageData(image, 0, 0);
}

/**
 * The values of the two ends of the colours: fixed where the activation has two ends.
 * @param {Lab} lab
 * @param {[number, number] | null} unit
 * @param {Float32Array} values
 * @returns {[number, number]}
 */
export function ends(lab, unit, values) {
  const { layers, output } = lab.experiment;
  const layer = unit ? unit[0] : layers.length + 1;
  const name = layer > layers.length ? output.activation : layers[layer - 1]?.activation;
  if (name === "sigmoid" || name === "softmax") return [0, 1];
  if (name === "tanh") return [-1, 1];
  let largest = 1e-9;
  for (const value of values) if (Math.abs(value) > largest) largest = Math.abs(value);
  return [-largest, largest];
}

/** @param {Lab} lab */
export function map(lab) {
  const field = h("canvas", { width: 100, height: 100 });
  const points = h("canvas", { width: SIZE, height: SIZE, role: "img" });
  const note = h("p", { class: "note" });
  const scale = h("p", { class: "scale", "aria-hidden": "true" });
  const tools = h("div", { class: "row" });
  const box = h("figure", { class: "map" }, h("div", { class: "canvas" }, field, points), scale, tools, note);
  at("map").append(box);
  /** What a click on the map adds: a class or a value; or that it removes. @type {number | "remove"} */
  let pen = 1;
  const draft = pointer(lab, points, () => pen, () => drawPoints());

  /** Of the examples, with a margin: what the map covers. */
  const range = () => (lab.plane ? lab.columns.map((column) => lab.state.data.extent[column]) : lab.state.data.extent);

  function drawField() {
    field.hidden = scale.hidden = !lab.plane;
    if (!lab.plane || !lab.boundary) return;
    const { boundary } = lab.boundary.arrays;
    const [low, high] = ends(lab, lab.unit, boundary.values);
    paint(field, boundary, [low, high]);
    const several = boundary.shape.length === 3 && boundary.shape[0] > 1;
    const told = [css(paper()), ...(several ? lab.state.data.classes : [shown(low), shown(high)])].join();
    if (scale.dataset.told === told) return;
    scale.dataset.told = told;
    scale.replaceChildren(...(several
      ? lab.state.data.classes.map((/** @type {any} */ name, /** @type {number} */ k) =>
          h("span", {}, swatch(css(classes()[k % classes().length])), ` ${name}`))
      : [h("span", {}, shown(low)), h("i"), h("span", {}, shown(high))]));
  }

  /** One input: the examples and, as a line over them, what the network answers. */
  function drawLine() {
    const pixels = points.width = points.height = Math.round(points.clientWidth * devicePixelRatio) || SIZE;
    const context = points.getContext("2d");
    const { X, Y, training } = lab.state.data;
    const values = lab.boundary?.arrays.boundary.values ?? [];
    const of = lab.unit ? values : Y[0];
    const [low, high] = [Math.min(...of), Math.max(...of)];
    const room = (high - low || 1) * 0.15;
    const [left, right] = range()[0];
    const across = (/** @type {number} */ x) => ((x - left) / (right - left)) * pixels;
    const up = (/** @type {number} */ y) => (1 - (y - low + room) / (high - low + 2 * room)) * pixels;
    const [warm, blue] = classes();
    const learned = new Set(training);
    context.lineWidth = pixels / 280;
    if (!lab.unit) {
      X[0].forEach((/** @type {number} */ x, /** @type {number} */ k) => {
        context.beginPath();
        context.arc(across(x), up(Y[0][k]), pixels / 110, 0, 2 * Math.PI);
        context.fillStyle = css(learned.has(k) ? warm : paper());
        context.strokeStyle = css(learned.has(k) ? paper() : warm);
        context.fill();
        context.stroke();
      });
    }
    context.beginPath();
    values.forEach((/** @type {number} */ y, /** @type {number} */ k) =>
      context.lineTo(across(left + ((k + 0.5) / values.length) * (right - left)), up(y)));
    context.lineWidth = pixels / 120;
    context.strokeStyle = css(blue);
    context.stroke();
  }

  function drawPoints() {
    if (!lab.plane) return void drawLine();
    const pixels = Math.round(points.clientWidth * devicePixelRatio) || SIZE;
    points.width = points.height = pixels;
    const context = points.getContext("2d");
    const { data } = lab.state;
    const [across, up] = lab.columns.map((column) => data.X[column]);
    const [colour, learned] = [coloursOf(data), new Set(data.training)];
    const [[left, right], [bottom, top]] = range();
    const radius = (pixels / 400) * radiusOf(across.length);
    context.lineWidth = radius * 0.36;
    const edge = css(edgeOf(data));
    /** @param {number} x1 @param {number} x2 @param {string} hue @param {boolean} filled */
    function dot(x1, x2, hue, filled) {
      context.beginPath();
      context.arc(((x1 - left) / (right - left)) * pixels, (1 - (x2 - bottom) / (top - bottom)) * pixels, radius, 0, 2 * Math.PI);
      context.fillStyle = filled ? hue : css(paper());
      context.strokeStyle = filled ? edge : hue;
      context.fill();
      context.stroke();
    }
    for (let k = 0; k < across.length; k++) {
      const [x1, x2] = k === draft.moved ? draft.to : [across[k], up[k]];
      dot(x1, x2, colour(targetOf(data, k)), learned.has(k));
    }
    for (const [x1, x2, y] of draft.fresh) dot(x1, x2, colour(y), true);
  }

  /** What a click can do, with a choice for it. */
  function penChoice() {
    const { classes: names, Y } = lab.state.data;
    /** @type {[string, string][]} */
    const adds = names.length ? names.map((/** @type {any} */ name, /** @type {number} */ k) => [String(k), `adds a point of class ${name}`]) : [["value", "adds a point of this y"]];
    if (pen !== "remove" && names.length && !(pen in names)) pen = names.length - 1;
    const value = pen === "remove" ? "remove" : names.length ? String(pen) : "value";
    const chosen = (/** @type {string} */ to) => {
      pen = to === "remove" ? to : to === "value" ? Y[0][0] : Number(to);
      drawTools();
    };
    return [
      choice("A click", [...adds, ["remove", "removes the point under it"]], value, chosen),
      value === "value" && number("y", shown(Number(pen)).replaceAll("−", "-"), (y) => (pen = y)),
    ];
  }

  /** The two inputs on the axes; where one is already on the other axis they change places. */
  function axes() {
    const [across, up] = lab.columns;
    const inputs = lab.state.data.inputs.map((/** @type {string} */ name, /** @type {number} */ k) => [String(k), name]);
    return [
      choice("Across", inputs, String(across), (to) => lab.show(lab.unit, [Number(to), Number(to) === up ? across : up])),
      choice("Up", inputs, String(up), (to) => lab.show(lab.unit, [Number(to) === across ? up : across, Number(to)])),
    ];
  }

  function drawTools() {
    const { n, data: { X, training } } = lab.state;
    const units = n.flatMap((/** @type {number} */ count, /** @type {number} */ layer) =>
      layer === 0 ? [] : Array.from({ length: Math.min(count, 64) }, (_, k) => [`${layer},${k}`, `layer ${layer}, unit ${k}`]));
    keepFocus(tools, [
      choice(lab.plane ? "The map shows" : "The line is", [["", "the output"], ...units], lab.unit?.join(",") ?? "",
        (value) => void lab.show(value ? /** @type {[number, number]} */ (value.split(",").map(Number)) : null)),
      ...(n[0] > 2 ? axes() : []), ...(lab.flat ? penChoice() : []),
    ]);
    const others = X[0].length - training.length;
    note.textContent = [
      others ? `${training.length} examples to learn from (filled), ${others} held back for validation (rings).` : `${training.length} examples, all to learn from.`,
      n[0] > 2 && `The other ${n[0] - 2} inputs are held at their mean.`,
      lab.flat && "Drag a point to move it; hold and move to draw several. By keyboard, use the table of examples.",
    ].filter(Boolean).join(" ");
    points.setAttribute("aria-label", `${lab.plane ? "Map of the plane" : "What the network answers"} with ${X[0].length} examples; the table of examples has them as numbers.`);
  }

  const all = () => { drawTools(); drawField(); drawPoints(); };
  lab.on("state", all);
  lab.on("unit", () => { drawTools(); drawPoints(); });
  lab.on("boundary", live(box, Infinity, () => { drawField(); if (!lab.state.playing || !lab.plane) drawPoints(); }));
  onTheme(all);
  new ResizeObserver(() => lab.state.data && drawPoints()).observe(points);
}

/**
 * The colour of an example of a class or of a value.
 * @param {any} data
 * @returns {(y: number) => string}
 */
export function coloursOf({ Y, classes: names }) {
  const hues = classes();
  if (names.length) return (y) => css(hues[Math.round(y) % hues.length]);
  let largest = 1e-9;
  for (const value of Y[0]) largest = Math.max(largest, Math.abs(value));
  return (y) => css(diverging(0.5 + y / largest / 2, 1));
}

/** What surrounds the dot of an example: a value near 0 has nearly the colour of the paper. @param {any} data */
export const edgeOf = ({ classes: names }) => (names.length ? paper() : mix(paper(), ink(), 0.35));

/** Of the dot of an example where the drawing is 400 wide. @param {number} count */
export const radiusOf = (count) => (count > 250 ? 3.4 : count > 60 ? 4.4 : 8);

/** @param {string} colour */
export function swatch(colour) {
  const mark = h("b", { class: "swatch", "aria-hidden": "true" });
  mark.style.background = colour;
  return mark;
}
