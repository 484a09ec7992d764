// @ts-check
/** The hidden space: where a layer puts the examples, on the axes of two of its units or of its main directions. */

import { classes, css, paper } from "../colours.js";
import { choice, h, keepFocus, s, shown, table } from "../dom.js";
import { coloursOf, edgeOf, radiusOf, swatch } from "../map.js";
import { targetOf } from "../points.js";

/** @typedef {import("../lab.js").Lab} Lab */
/** @typedef {[number, number]} Pair */

const [SIZE, LEFT, BOTTOM, EDGE] = [450, 62, 38, 10];
const MOST_ROWS = 16;
const MOST_UNITS = 128; // whose main directions the server works out

/**
 * The ends of an axis and three numbers on it: those of the activation, or of what is drawn.
 * @param {number[]} values @param {number[]} [bounds] @returns {{ends: Pair, ticks: number[]}}
 */
function axisOf(values, bounds) {
  let [low, high] = bounds ?? [Infinity, -Infinity];
  if (!bounds) for (const value of values) if (Number.isFinite(value)) [low, high] = [Math.min(low, value), Math.max(high, value)];
  if (!(low <= high)) [low, high] = [-1, 1];
  const room = 0.06 * (high - low) || 1;
  return { ends: [low - room, high + room], ticks: [low, low < 0 && high > 0 ? 0 : (low + high) / 2, high].map((value) => Number(value.toPrecision(2))) };
}

/** The part of a polygon where w1 x + w2 y + b is positive. @param {Pair[]} corners @param {number[]} line */
function half(corners, [w1, w2, b]) {
  const z = (/** @type {Pair} */ [x, y]) => w1 * x + w2 * y + b;
  /** @type {Pair[]} */
  const kept = [];
  corners.forEach((here, k) => {
    const next = corners[(k + 1) % corners.length];
    const [a, c] = [z(here), z(next)];
    if (a >= 0) kept.push(here);
    if (a >= 0 !== c >= 0) kept.push([here[0] + (a / (a - c)) * (next[0] - here[0]), here[1] + (a / (a - c)) * (next[1] - here[1])]);
  });
  return kept;
}

/**
 * The drawing: the bent plane, the decision line, the examples.
 * @param {Lab} lab @param {any} frame @param {string[]} names of the axes
 */
function drawing(lab, { header, arrays: { points, lines } }, names) {
  const { data, n, experiment } = lab.state;
  const count = header.examples.length;
  const g = header.layer === 0 ? "" : experiment.layers[header.layer - 1]?.activation ?? experiment.output.activation;
  const bounds = header.axes && header.layer > 0 ? lab.catalogue.activations.find((/** @type {any} */ each) => each.name === g)?.range : undefined;
  const along = (/** @type {number} */ axis) => {
    const found = Array.from(points.values.subarray(axis * count, (axis + 1) * count));
    const places = lines?.shape[2] ?? 0;
    for (let line = 0; line < (lines?.shape[0] ?? 0); line++) for (let k = 0; k < places; k++) found.push(lines.values[(2 * line + axis) * places + k]);
    return found;
  };
  const axes = [0, 1].map((axis) => axisOf(along(axis), bounds));
  let [across, up] = axes.map(({ ends }) => ends);
  if (!header.axes) { // a distance is a distance, in every direction
    const reach = Math.max(across[1] - across[0], up[1] - up[0]) / 2;
    [across, up] = [across, up].map(([low, high]) => /** @type {Pair} */ ([(low + high) / 2 - reach, (low + high) / 2 + reach]));
  }
  const x = (/** @type {number} */ value) => LEFT + ((value - across[0]) / (across[1] - across[0])) * (SIZE - LEFT - EDGE);
  const y = (/** @type {number} */ value) => EDGE + ((up[1] - value) / (up[1] - up[0])) * (SIZE - BOTTOM - EDGE);
  const path = (/** @type {Pair[]} */ places) => places.map(([a, b], k) => `${k ? "L" : "M"}${x(a).toFixed(1)} ${y(b).toFixed(1)}`).join("");

  const inside = s("svg", { x: LEFT, y: EDGE, width: SIZE - LEFT - EDGE, height: SIZE - BOTTOM - EDGE, viewBox: `${LEFT} ${EDGE} ${SIZE - LEFT - EDGE} ${SIZE - BOTTOM - EDGE}` });
  if (header.decision) {
    const corners = /** @type {Pair[]} */ ([[across[0], up[0]], [across[1], up[0]], [across[1], up[1]], [across[0], up[1]]]);
    const sides = [header.decision.map((/** @type {number} */ value) => -value), header.decision];
    sides.forEach((line, k) => inside.append(s("path", { class: "side", fill: css(classes()[k]), d: `${path(half(corners, line))}Z` })));
  }
  if (lines) {
    let d = "";
    const [, , places] = lines.shape;
    for (let line = 0; line < lines.shape[0]; line++) {
      const one = Array.from({ length: places }, (_, k) => /** @type {Pair} */ ([lines.values[2 * line * places + k], lines.values[(2 * line + 1) * places + k]]));
      if (one.flat().every(Number.isFinite)) d += path(one);
    }
    inside.append(s("path", { class: "bent", d }));
  }
  if (header.decision) {
    const [w1, w2, b] = header.decision;
    const [low, high] = [across[0] - 1, across[1] + 1];
    const ends = Math.abs(w2) > Math.abs(w1) ? [[low, -(w1 * low + b) / w2], [high, -(w1 * high + b) / w2]]
      : [[-(w2 * (up[0] - 1) + b) / w1, up[0] - 1], [-(w2 * (up[1] + 1) + b) / w1, up[1] + 1]];
    if (ends.flat().every(Number.isFinite)) inside.append(s("path", { class: "decision", d: path(/** @type {Pair[]} */ (ends)) }));
  }
  inside.append(...dots(data, header.examples, (k) => [x(points.values[k]), y(points.values[count + k])]));

  const picture = s("svg", { class: "space", viewBox: `0 0 ${SIZE} ${SIZE}`, role: "img", "aria-label": `What layer ${header.layer} makes of ${count} examples: across ${names[0]}, up ${names[1]}; the table beside it has numbers.` });
  const [bottom, right] = [SIZE - BOTTOM, SIZE - EDGE];
  picture.append(inside, s("rect", { class: "frame", x: LEFT, y: EDGE, width: right - LEFT, height: bottom - EDGE }),
    s("text", { x: (LEFT + right) / 2, y: SIZE - 5, "text-anchor": "middle" }, names[0]),
    s("text", { transform: `translate(13 ${(EDGE + bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, names[1]));
  for (const tick of axes[0].ticks) picture.append(s("text", { x: x(tick), y: bottom + 15, "text-anchor": "middle" }, shown(tick)));
  for (const tick of axes[1].ticks) picture.append(s("text", { x: LEFT - 5, y: y(tick) + 4, "text-anchor": "end" }, shown(tick)));
  return picture;
}

/**
 * The examples: one path for all of a colour, each a round stroke without length; rings are held out.
 * @param {any} data @param {number[]} examples @param {(place: number) => number[]} where
 */
function dots(data, examples, where) {
  const [colour, learned, radius] = [coloursOf(data), new Set(data.training), radiusOf(examples.length)];
  /** @type {Map<string, string>} */
  const paths = new Map();
  examples.forEach((k, place) => {
    const [a, b] = where(place);
    if (!Number.isFinite(a) || !Number.isFinite(b)) return;
    const key = `${learned.has(k)} ${colour(targetOf(data, k))}`;
    paths.set(key, `${paths.get(key) ?? ""}M${a.toFixed(1)} ${b.toFixed(1)}h0`);
  });
  return [...paths].flatMap(([key, d]) => {
    const [, filled, stroke] = /** @type {RegExpMatchArray} */ (key.match(/^(\w+) (.*)$/));
    const full = s("path", { class: "points", stroke, "stroke-width": 2 * radius, d });
    const under = s("path", { class: "points edge", stroke: css(edgeOf(data)), "stroke-width": 2 * radius + 1.6, d });
    const within = s("path", { class: "points edge", stroke: css(paper()), "stroke-width": 2 * radius - 3, d });
    return filled === "true" ? [under, full] : [under, full, within];
  });
}

/**
 * The same in numbers: each example where they are few, else mean and standard deviation of each class.
 * @param {Lab} lab @param {any} frame @param {string[]} names
 */
function numbers(lab, { header, arrays: { points } }, names) {
  const { data } = lab.state;
  const { examples, decision } = header;
  const at = (/** @type {number} */ axis, /** @type {number} */ place) => points.values[axis * examples.length + place];
  const z = (/** @type {number} */ place) => decision[0] * at(0, place) + decision[1] * at(1, place) + decision[2];
  const places = examples.map((/** @type {any} */ _, /** @type {number} */ place) => place);
  const right = decision ? places.filter((/** @type {number} */ place) => Number(z(place) >= 0) === targetOf(data, examples[place])).length : 0;
  const colour = coloursOf(data);
  const name = (/** @type {number} */ y) => [swatch(colour(y)), ` ${data.classes[y] ?? shown(y)}`];
  let [caption, head, rows] = ["", /** @type {string[]} */ ([]), /** @type {any[][]} */ ([])];
  if (examples.length <= MOST_ROWS || !data.classes.length) {
    const some = places.slice(0, MOST_ROWS);
    caption = some.length < examples.length ? `The first ${some.length} of ${examples.length} examples.` : "Every example.";
    head = ["Example", "expected", ...names, ...(decision ? ["z of the output"] : [])];
    rows = some.map((/** @type {number} */ place) => [String(examples[place]), name(targetOf(data, examples[place])), shown(at(0, place)), shown(at(1, place)), ...(decision ? [shown(z(place))] : [])]);
  } else {
    caption = "Each class: mean ± standard deviation.";
    head = ["Class", "examples", ...names];
    rows = data.classes.map((/** @type {string} */ _, /** @type {number} */ y) => {
      const own = places.filter((/** @type {number} */ place) => targetOf(data, examples[place]) === y);
      return [name(y), String(own.length), ...[0, 1].map((axis) => spread(own.map((/** @type {number} */ place) => at(axis, place))))];
    });
  }
  return [
    table("Hidden space in numbers", caption, head,
      rows.map(([first, ...others]) => h("tr", {}, h("th", { scope: "row" }, first), others.map((text) => h("td", {}, text))))),
    decision && h("p", { class: "note" }, `The output decides by the line ${shown(decision[0])} a[${header.layer}]_${header.axes[0]} ${added(decision[1])} a[${header.layer}]_${header.axes[1]} ${added(decision[2])} = 0: `,
      h("strong", {}, `${right} of ${examples.length} examples lie on the side of their class.`)),
  ];
}

/** A further term of a sum. @param {number} value */
const added = (value) => (value < 0 ? `− ${shown(-value)}` : `+ ${shown(value)}`);

/** @param {number[]} values */
function spread(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
  return values.length ? `${shown(mean)} ± ${shown(deviation)}` : "none";
}

/** The layers that can be looked at: those of two units or more. @param {Lab} lab @returns {number[]} */
const layersOf = (lab) => lab.state.n.flatMap((/** @type {number} */ count, /** @type {number} */ layer) => (count >= 2 ? [layer] : []));

/** @type {import("../views.js").View} */
export const hidden = {
  name: "hidden",
  title: "Hidden space",
  why: "Each layer moves the examples. The last one must place them so that one straight cut, which is all the output does, is enough.",
  suits: (lab) => {
    if (lab.state.n.length < 3) return "This network has no hidden layer. Add one in the drawing.";
    return lab.state.n.slice(1, -1).some((/** @type {number} */ count) => count >= 2) ? "" : "This needs a hidden layer of at least two units, one for each axis.";
  },
  make: (lab, box) => {
    const tools = h("div", { class: "row" });
    const inside = h("div", { class: "beside" });
    box.append(tools, inside);
    /** What is looked at; `axes` null: the main directions. @type {{layer: number, axes: Pair | null}} */
    let looked = { layer: -1, axes: null };
    let [before, drawn] = ["", ""]; // the network, and what the choices were made for

    /** @param {number} layer */
    const first = (layer) => ({ layer, axes: mixed(layer) ? null : /** @type {Pair} */ ([0, 1]) });

    /** Whether there are main directions to choose. @param {number} layer */
    const mixed = (layer) => lab.state.n[layer] > 2 && lab.state.n[layer] <= MOST_UNITS;

    /** What the link asks for, where this network has it. @param {any} look @returns {typeof looked | null} */
    function fromLink(look) {
      if (!layersOf(lab).includes(look?.layer)) return null;
      const { layer, axes } = look;
      const units = Array.isArray(axes) && axes.length === 2 && axes[0] !== axes[1] && axes.every((k) => Number.isInteger(k) && k >= 0 && k < lab.state.n[layer]);
      return units || (axes === null && mixed(layer)) ? { layer, axes } : null;
    }

    const shape = () => String([lab.state.n, lab.state.data.inputs, lab.state.data.X[0].length]);

    /** @param {number} layer @param {number} unit */
    const unitName = (layer, unit) => {
      const { n, data } = lab.state;
      return layer === 0 ? data.inputs[unit] : layer === n.length - 1 ? `output ${data.outputs[unit]}` : `unit ${unit}`;
    };

    function drawTools() {
      const { n } = lab.state;
      const { layer, axes } = looked;
      const look = (/** @type {typeof looked} */ other) => {
        lab.looks.hidden = looked = other;
        lab.keepInLink();
        draw().catch(() => undefined);
      };
      const units = Array.from({ length: n[layer] }, (_, unit) => /** @type {[string, string]} */ ([String(unit), unitName(layer, unit)]));
      const axis = (/** @type {string} */ label, /** @type {number} */ which) => choice(label, units, String(axes?.[which]), (value) => {
        const [to, other] = [Number(value), /** @type {Pair} */ (axes)[1 - which]];
        const swapped = to === other ? /** @type {Pair} */ (axes)[which] : other; // an axis that is taken changes places
        look({ layer, axes: which ? [swapped, to] : [to, swapped] });
      });
      const title = (/** @type {number} */ each) => (each === 0 ? "the inputs" : each === n.length - 1 ? "the output" : `layer ${each}`);
      keepFocus(tools, [
        choice("Seen by", layersOf(lab).map((each) => [String(each), `${title(each)}: ${n[each]} ${each ? "units" : "numbers"}`]), String(layer), (value) => look(first(Number(value)))),
        mixed(layer) && choice("Axes", [["main", "two main directions"], ["units", layer ? "two units" : "two inputs"]], axes ? "units" : "main",
          (value) => look({ layer, axes: value === "main" ? null : [0, 1] })),
        ...(axes ? [axis("Across", 0), axis("Up", 1)] : []),
      ]);
    }

    async function draw() {
      const { n, data } = lab.state;
      if (shape() !== before) {
        const kept = before ? null : fromLink(lab.looks.hidden);
        before = shape();
        looked = kept ?? first(layersOf(lab).findLast((each) => each < n.length - 1) ?? 0);
      }
      if (JSON.stringify(looked) + before !== drawn) drawTools();
      drawn = JSON.stringify(looked) + before;
      const frame = await lab.ask("hidden", looked);
      if (shape() !== before) return; // another network by now: it is drawn next
      const { header } = frame;
      const names = header.axes ? header.axes.map((/** @type {number} */ unit) => unitName(header.layer, unit)) : ["main direction 1", "main direction 2"];
      const share = header.share === null ? "All examples are in the same place." : `These two axes hold ${shown(100 * header.share)} % of the variance of A[${header.layer}].`;
      inside.replaceChildren(
        h("figure", {}, drawing(lab, frame, names)),
        h("div", {}, ...numbers(lab, frame, names).filter(Boolean), h("p", { class: "note" }, [
          n[header.layer] > 2 || header.share === null ? share : "",
          frame.arrays.lines && header.layer ? "The thin lines are straight in the plane of the inputs; the layer bends them." : "",
          header.examples.length < data.X[0].length ? `${header.examples.length} of ${data.X[0].length} examples are drawn.` : "",
        ].filter(Boolean).join(" "))));
    }
    return draw;
  },
};
