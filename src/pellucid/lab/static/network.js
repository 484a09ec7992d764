// @ts-check
/** The drawing: units, weights as lines, and the layers' controls above them. */

import { at, h, number, s, say, shown } from "./dom.js";
import { live, put, write } from "./live.js";
import { ends, paint } from "./map.js";

const [GAP, RADIUS, MOST] = [58, 21, 8];
/** What no XML may hold; a table's column can be called so. */
const NOT_XML = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu;

/** @param {import("./lab.js").Lab} lab */
export function network(lab) {
  const controls = h("div", { class: "layers" });
  const picture = h("div", { class: "picture" });
  const told = h("p", { class: "note" });
  at("drawing").append(h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "Drawing of the network" },
    h("div", { class: "wide" }, controls, picture)), told);
  /** @type {[number, number] | null} the unit whose weights are shown as numbers */
  let chosen = null;
  /** @type {{path: Element, layer: number, to: number, from: number}[]} */
  let weights = [];
  /** @type {{text: Element, value: () => string}[]} */
  let labels = [];
  /** @type {Map<string, any>} */
  let maps = new Map();

  /** @param {number} layer @param {any} settings null removes the layer */
  function changeLayer(layer, settings) {
    const layers = lab.experiment.layers.map((before, k) => (k === layer - 1 ? settings && { ...before, ...settings } : before));
    return lab.change({ layers: layers.filter(Boolean) });
  }

  /** @param {number} layer @param {number} more */
  function changeUnits(layer, more) {
    const units = Math.max(1, Math.min(64, lab.experiment.layers[layer - 1].units + more));
    return changeLayer(layer, { units });
  }

  /** @param {number} place */
  function addLayer(place) {
    const layers = [...lab.experiment.layers];
    const like = layers[place - 1] ?? layers[place] ?? { units: 4, activation: "tanh" };
    layers.splice(place, 0, { ...like });
    return lab.change({ layers });
  }

  /** @param {number} layer */
  function head(layer) {
    const { n, experiment } = lab.state;
    const { activations } = lab.catalogue;
    const last = n.length - 1;
    const units = h("strong", {}, String(n[layer]), h("span", {}, n[layer] === 1 ? "unit" : "units"));
    if (layer === 0) return [h("h3", {}, "Inputs"), h("strong", {}, String(n[0]))];
    const hidden = layer < last;
    const g = h("select", {
      "aria-label": `Activation of layer ${layer}`,
      onchange: () => (hidden ? changeLayer(layer, { activation: g.value }) : lab.change({ output: { ...experiment.output, activation: g.value } })),
    }, activations.filter((/** @type {any} */ a) => !hidden || !a.output_only).map((/** @type {any} */ a) => h("option", { value: a.name, title: a.formula }, a.name)));
    g.value = hidden ? experiment.layers[layer - 1].activation : experiment.output.activation;
    if (!hidden) return [h("h3", {}, "Output"), h("div", { class: "units" }, units), g];
    return [
      h("h3", {}, `Layer ${layer}`),
      h("div", { class: "units" },
        h("button", { class: "small", "aria-label": `One unit fewer in layer ${layer}`, disabled: n[layer] <= 1, onclick: () => changeUnits(layer, -1) }, "−"),
        units,
        h("button", { class: "small", "aria-label": `One unit more in layer ${layer}`, disabled: n[layer] >= 64, onclick: () => changeUnits(layer, 1) }, "+")),
      g,
      number("Dropout", experiment.layers[layer - 1].dropout ?? 0, (dropout) => changeLayer(layer, { dropout }),
        { min: 0, max: 0.9, "aria-label": `Dropout of layer ${layer}`, title: "Share of the units dropped at each step" }),
      h("button", { class: "quiet", "aria-label": `Remove layer ${layer}`, onclick: () => changeLayer(layer, null) }, "Remove"),
    ];
  }

  function drawControls() {
    const focus = /** @type {HTMLElement | null} */ (document.activeElement)?.getAttribute("aria-label");
    const { n } = lab.state;
    controls.replaceChildren(...n.map((/** @type {number} */ _, /** @type {number} */ layer) =>
      h("div", { class: "layer" }, head(layer), layer < n.length - 1 && n.length < 9 &&
        h("button", { class: "add small", "aria-label": `Add a layer after ${layer ? `layer ${layer}` : "the inputs"}`, title: "Add a layer here", onclick: () => addLayer(layer) }, "+"))));
    if (focus) controls.querySelector(`[aria-label="${CSS.escape(focus)}"]`)?.focus();
  }

  /** Which units of a layer have a place in the drawing. @param {number} count */
  const drawn = (count) => Math.min(count, MOST);

  function place() {
    const { n } = lab.state;
    const width = picture.clientWidth;
    const height = Math.max(...n.map(drawn)) * GAP + 34;
    /** @param {number} layer @param {number} unit */
    const at = (layer, unit) => ({
      x: (width * (layer + 0.5)) / n.length,
      y: height / 2 + (unit - (drawn(n[layer]) - 1) / 2) * GAP - (n[layer] > MOST ? 8 : 0),
    });
    return { width, height, at };
  }

  function draw() {
    const { n, data } = lab.state;
    const { width, height, at: where } = place();
    const drawing = s("svg", { viewBox: `0 0 ${width} ${height}`, height, class: "network", role: "group", "aria-label": `Network ${n.join("-")}` });
    const lines = s("g"), units = s("g"), values = s("g", { class: "labels" });
    weights = [];
    labels = [];
    /** @param {number} x @param {number} y @param {() => string} value */
    function label(x, y, value) {
      const text = s("text", { x, y, "text-anchor": "middle" });
      labels.push({ text, value });
      values.append(text);
    }
    for (let layer = 1; layer < n.length; layer++) {
      for (let to = 0; to < drawn(n[layer]); to++) {
        for (let from = 0; from < drawn(n[layer - 1]); from++) {
          const [a, b] = [where(layer - 1, from), where(layer, to)];
          const middle = (a.x + b.x) / 2;
          const path = s("path", {
            "data-layer": layer, "data-to": to, "data-from": from,
            d: `M${a.x + RADIUS} ${a.y}C${middle} ${a.y} ${middle} ${b.y} ${b.x - RADIUS} ${b.y}`,
            onmouseenter: () => tell(`W[${layer}][${to}, ${from}] = ${shown(lab.state.parameters[`W${layer}`][to][from])}`),
          });
          weights.push({ path, layer, to, from });
          lines.append(path);
        }
      }
    }
    n.forEach((/** @type {number} */ count, /** @type {number} */ layer) => {
      for (let unit = 0; unit < drawn(count); unit++) {
        const { x, y } = where(layer, unit);
        const mine = chosen?.[0] === layer && chosen?.[1] === unit;
        const name = layer === 0 ? data.inputs?.[unit] ?? `x${unit + 1}` : layer === n.length - 1 && count === 1 ? "ŷ" : "";
        const short = name.length > 3 ? String(unit) : name;
        units.append(s("g", {
          class: `unit${mine ? " chosen" : ""}${lab.unit?.[0] === layer && lab.unit?.[1] === unit ? " shown" : ""}`,
          role: "button", tabindex: mine || (!chosen && layer === Math.min(1, n.length - 1) && unit === 0) ? 0 : -1,
          "aria-label": layer === 0 ? `Input ${short === name ? name : `${short}: ${name}`}` : `Unit ${unit} of layer ${layer}: show its weights and its map`,
          "data-unit": `${layer},${unit}`,
          onclick: () => pick([layer, unit]),
          onkeydown: (/** @type {KeyboardEvent} */ event) => moved(event, layer, unit),
          onmouseenter: () => layer && tell(sumOf(layer, unit)),
        }, s("circle", { cx: x, cy: y, r: RADIUS }), s("text", { x, y: y + 5, "text-anchor": "middle" }, short)));
      }
      if (count > MOST) {
        const { x, y } = where(layer, MOST - 1);
        units.append(s("text", { class: "more", x, y: y + RADIUS + 18, "text-anchor": "middle" }, `and ${count - MOST} more`));
      }
    });
    if (chosen?.[0]) {
      const [layer, unit] = chosen;
      for (let from = 0; from < drawn(n[layer - 1]); from++) {
        const [a, b] = [where(layer - 1, from), where(layer, unit)];
        const t = drawn(n[layer - 1]) > 4 && from % 2 ? 0.5 : 0.3; // a place on the curve of this weight
        const x = a.x + RADIUS + (b.x - a.x - 2 * RADIUS) * (1.5 * t * (1 - t) + t ** 3);
        const y = a.y + (b.y - a.y) * (3 * t ** 2 - 2 * t ** 3);
        label(x, y + 4, () => shown(lab.state.parameters[`W${layer}`][unit][from]));
      }
      const { x, y } = where(layer, unit);
      label(x, y + RADIUS + 13, () => `b ${shown(lab.state.parameters[`b${layer}`][unit][0])}`);
    }
    drawing.append(lines, units, values);
    update();
    const focused = /** @type {HTMLElement | null} */ (document.activeElement)?.dataset?.unit;
    picture.querySelector("svg")?.remove();
    picture.prepend(drawing);
    if (focused) picture.querySelector(`[data-unit="${focused}"]`)?.focus();
    placeMaps();
  }

  function placeMaps() {
    const { at: where } = place();
    for (const [key, canvas] of maps) {
      const [layer, unit] = key.split(",").map(Number);
      const { x, y } = where(layer, unit);
      Object.assign(canvas.style, { left: `${x - RADIUS + 2}px`, top: `${y - RADIUS + 2}px` });
    }
  }

  /** The numbers in the drawing as they are now: widths and colours of the lines, and what is written. */
  function update() {
    const { parameters } = lab.state;
    const largest = lab.state.n.map((/** @type {any} */ _, /** @type {number} */ layer) => (layer ? most(parameters[`W${layer}`]) : 0));
    for (const { path, layer, to, from } of weights) {
      const w = parameters[`W${layer}`][to][from];
      put(path, "class", `weight ${w < 0 ? "minus" : "plus"}`);
      put(path, "stroke-width", (0.6 + 5.4 * Math.abs(w) / largest[layer]).toFixed(1));
    }
    for (const { text, value } of labels) write(text, value());
    if (chosen?.[0]) tell(sumOf(...chosen));
  }

  /** @param {string} text */
  const tell = (text) => write(told, text);

  /** @param {number} layer @param {number} unit the sum that this unit makes, with its numbers */
  function sumOf(layer, unit) {
    const { parameters } = lab.state;
    const from = layer === 1 ? "x" : `a[${layer - 1}]`;
    const terms = parameters[`W${layer}`][unit].slice(0, 6).map((/** @type {number} */ w, /** @type {number} */ k) => `${shown(w)} ${from}${layer === 1 ? k + 1 : `_${k}`}`);
    const left = parameters[`W${layer}`][unit].length - terms.length;
    return [`z[${layer}]_${unit} = ${terms.join(" + ")}`, ...(left ? [`${left} more`] : []), shown(parameters[`b${layer}`][unit][0])].join(" + ");
  }

  /** @param {[number, number]} unit */
  function pick(unit) {
    chosen = unit;
    if (unit[0]) say(sumOf(...unit));
    if (unit[0]) lab.show(unit[0] === lab.state.n.length - 1 && lab.state.n.at(-1) === 1 ? null : unit);
    draw();
    picture.querySelector(`[data-unit="${unit}"]`)?.focus();
  }

  /** @param {KeyboardEvent} event @param {number} layer @param {number} unit */
  function moved(event, layer, unit) {
    const { n } = lab.state;
    const [right, down] = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key] ?? [0, 0];
    if (event.key === "Enter" || event.key === " ") pick([layer, unit]);
    else if (right || down) {
      const to = Math.max(0, Math.min(n.length - 1, layer + right));
      pick([to, Math.max(0, Math.min(drawn(n[to]) - 1, unit + down))]);
    } else return;
    event.preventDefault();
  }

  /** Take away the maps that are not among these; the drawing stays, and the focus in it. @param {Map<string, any>} kept */
  function keepMaps(kept) {
    for (const [key, canvas] of maps) if (!kept.has(key)) canvas.remove();
    maps = kept;
  }

  /** The maps of all units that are drawn: one request, one pass. */
  let round = 0;
  async function drawMaps() {
    const mine = ++round;
    if (!lab.plane) return;
    const { arrays } = await lab.ask("unit_maps", { size: 30, most: MOST, ...lab.across });
    if (mine !== round) return;
    const fresh = new Map();
    for (const [name, { shape: [count, ...shape], values }] of Object.entries(arrays)) {
      const [layer, cells] = [Number(name.slice(1)), values.length / count];
      for (let unit = 0; unit < count; unit++) {
        const key = `${layer},${unit}`;
        const canvas = maps.get(key) ?? h("canvas", { class: "small-map", "aria-hidden": "true" });
        const own = values.subarray(unit * cells, (unit + 1) * cells);
        paint(canvas, { shape, values: own }, ends(lab, [layer, unit], own));
        fresh.set(key, canvas);
      }
    }
    keepMaps(fresh);
    for (const canvas of maps.values()) if (!canvas.parentNode) picture.append(canvas);
    placeMaps();
  }

  lab.on("state", () => {
    const { n } = lab.state;
    if (chosen && (chosen[0] >= n.length || chosen[1] >= drawn(n[chosen[0]]))) chosen = null;
    keepMaps(new Map([...maps].filter(([key]) => { const [layer, unit] = key.split(",").map(Number); return layer < n.length && unit < drawn(n[layer]); })));
    drawControls();
    draw();
    drawMaps();
  });
  lab.on("numbers", live(picture, 10, update));
  lab.on("numbers", live(picture, 1, drawMaps));
  lab.on("leaving", () => round++);
  lab.on("play", () => lab.state.playing || drawMaps());
  lab.on("unit", () => { draw(); drawMaps(); });
  new ResizeObserver(() => lab.state.n && draw()).observe(picture);
}

/** The largest number of a matrix, without its sign. @param {number[][]} W */
function most(W) {
  let largest = 1e-12;
  for (const row of W) for (const value of row) largest = Math.max(largest, Math.abs(value));
  return largest;
}

/** The drawing as a file of its own: the page's colours are written into it. */
export function drawingAsFile() {
  const original = /** @type {any} */ (document.querySelector("svg.network"));
  const copy = original.cloneNode(true);
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  const before = original.querySelectorAll("*");
  copy.querySelectorAll("*").forEach((/** @type {Element} */ element, /** @type {number} */ k) => {
    const style = getComputedStyle(before[k]);
    for (const name of ["fill", "stroke", "opacity", "font-family", "font-size"]) element.setAttribute(name, style.getPropertyValue(name));
    for (const name of ["class", "tabindex", "role"]) element.removeAttribute(name);
  });
  return new XMLSerializer().serializeToString(copy).replace(NOT_XML, "\ufffd");
}
