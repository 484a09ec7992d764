// @ts-check
/** The loss surface over two parameters: where training went, and learning rates racing on it. */

import { classes, css, onTheme } from "../colours.js";
import { choice, count, h, keepFocus, number, s, say, shown, table } from "../dom.js";
import { write } from "../live.js";
import { asText, bands, colours, contour, levels } from "./contours.js";
import { results, style } from "./race.js";
import { ticks } from "./scales.js";

/** @typedef {import("../lab.js").Lab} Lab */
/** @typedef {[string, number, number, number]} Place letter, layer, row, column */

const [WIDTH, HEIGHT, LEFT, TOP, SIDE] = [440, 430, 62, 12, 360]; // lab.css places the canvas by them
const SECONDS = 2.5;
const ZOOMS = /** @type {[string, string][]} */ ([["0.0625", "16 times closer"], ["0.25", "4 times closer"], ["1", "the whole path"], ["4", "4 times wider"], ["16", "16 times wider"]]);
const HOW = "A race is gradient descent on only these two parameters, once for each learning rate, all from the same point. Each step uses all examples of the surface and the other parameters are fixed, so each path goes down the surface that is drawn. A rate that is too small does not arrive; one that is too large jumps across the valley, or away.";
const still = matchMedia("(prefers-reduced-motion: reduce)");

/** @param {Place} place */
const nameOf = ([letter, layer, row, column]) => `${letter}[${layer}][${row}, ${column}]`;

/** Two cells to begin with: of the first row of W[1], or its weight and its bias. @param {any} parameters @returns {Place[]} */
const firstPlaces = (parameters) =>
  parameters.W1[0].length > 1 ? [["W", 1, 0, 0], ["W", 1, 0, 1]] : [["W", 1, 0, 0], ["b", 1, 0, 0]];

/** @param {Place} place @param {any} parameters */
const exists = ([letter, layer, row, column], parameters) => Object.hasOwn(parameters, `${letter}${layer}`) && parameters[`${letter}${layer}`][row]?.[column] !== undefined;

/** With the squared error on a sigmoid the cross-entropy is put beside it. @param {any} experiment @param {string} task */
const firstOther = ({ loss, output }, task) =>
  task === "binary" && output.activation === "sigmoid" && loss.endsWith("squared_error") ? "binary_cross_entropy" : "";

/** Gradient descent wants about its own learning rate; the others' are no guide. @param {any} experiment */
function firstRates({ optimizer, learning_rate: alpha }) {
  const middle = optimizer === "gradient_descent" ? alpha : 1;
  return [0.1, 1, 3, 10].map((times) => Number((times * middle).toPrecision(3))).join(", ");
}

/** What a link held of the choices, as far as it can be. @param {any} kept @param {any} parameters */
function fromLink(kept, parameters) {
  const { places, other, zoom, rates, steps, start } = kept ?? {};
  const fits = (/** @type {any} */ place) => Array.isArray(place) && exists(/** @type {Place} */ (place), parameters);
  return {
    ...(Array.isArray(places) && places.length === 2 && places.every(fits) && { places }),
    ...(typeof other === "string" && { other }),
    ...(ZOOMS.some(([value]) => value === zoom) && { zoom }),
    ...(typeof rates === "string" && { rates }),
    ...(Number.isInteger(steps) && { steps }),
    ...(Array.isArray(start) && start.length === 2 && start.every(Number.isFinite) && { start }),
  };
}

class View {
  /** @param {Lab} lab @param {HTMLElement} box */
  constructor(lab, box) {
    this.lab = lab;
    /** What the choices belong to, and what the controls were drawn for. */
    this.key = "";
    this.drawn = "";
    this.raced = "";
    /** @type {Place[]} across and upwards */ this.places = [];
    /** @type {number[] | null} where a race begins; null is where the two parameters are */
    this.start = null;
    this.other = "";
    this.rates = "";
    this.zoom = "1";
    this.steps = 60;
    /** @type {any} the last reply */ this.known = null;
    /** @type {any[]} the paths of the last race, and how much of them is drawn */
    this.runs = [];
    this.progress = 1;
    /** @type {{runs: any, loss: string}[]} where each surface's paths are drawn */ this.layers = [];
    this.controls = h("div", { class: "surface-controls" });
    this.note = h("p", { class: "note" });
    this.panels = h("div", { class: "panels" });
    this.results = h("div", { class: "results" });
    box.append(this.controls, this.note, h("div", { class: "landscape" }, this.panels, this.results));
    onTheme(() => this.known && this.drawPanels());
  }

  /** Choices of another experiment do not fit this one. */
  begin() {
    const { experiment: e, parameters, data } = this.lab.state;
    const layout = Object.entries(parameters).map(([name, rows]) => `${name} ${rows.length} ${rows[0].length}`).join();
    const key = [layout, e.data.name, e.loss, e.output.activation, e.optimizer].join();
    if (key === this.key) return;
    const kept = this.key ? {} : fromLink(this.lab.looks.surface, parameters);
    this.key = key;
    this.places = firstPlaces(parameters);
    this.other = firstOther(e, data.task);
    this.rates = firstRates(e);
    this.zoom = "1";
    this.start = null;
    Object.assign(this, kept);
    this.drawn = "";
  }

  /** Draw it with what was chosen, and keep that in the link. */
  chosen() {
    const { places, other, zoom, rates, steps, start } = this;
    this.lab.looks.surface = { places, other, zoom, rates, steps, start };
    this.lab.keepInLink();
    return this.draw();
  }

  asked() {
    const { places, other } = this;
    return { places, other: other || null };
  }

  /** What is to be seen besides the path: where a race begins, and where it arrived. */
  also() {
    const ends = this.runs.filter((run) => !run.diverged).map((run) => run.points[run.points.length - 1]);
    return [this.begins(), ...ends].filter((point) => point.every((/** @type {number} */ value) => Math.abs(value) < 1e5));
  }

  async draw() {
    this.begin();
    const { lab } = this;
    if (this.raced !== this.mark()) this.runs = [];
    try {
      const { header, arrays } = await lab.socket.ask("surface", { ...this.asked(), zoom: Number(this.zoom), also: this.also() });
      const { size, losses } = header;
      const cells = size * size;
      const fields = losses.map((/** @type {any} */ _, /** @type {number} */ k) => ({ size, values: arrays.J.values.slice(k * cells, (k + 1) * cells) }));
      this.known = { ...header, fields };
    } catch (error) {
      write(this.note, /** @type {Error} */ (error).message);
      this.drawControls();
      this.panels.replaceChildren();
      this.results.replaceChildren();
      return;
    }
    this.drawControls();
    this.drawNote();
    this.drawPanels();
    this.drawResults();
  }

  /** What a race belongs to: it is of no use on another surface. */
  mark() {
    return [this.lab.opened, this.lab.state.step, this.lab.state.actions, this.places.map(nameOf), this.other].join();
  }

  // Controls -----------------------------------------------------------------------------------

  /** Anew only where there are other choices, so that nobody is disturbed while typing. */
  drawControls() {
    const others = this.known?.others ?? [];
    const drawn = [this.key, this.places.map((place) => place.slice(0, 2)).join(), others].join();
    if (drawn === this.drawn) return this.drawStart();
    this.drawn = drawn;
    const race = h("button", { class: "primary", onclick: () => this.race() }, "Race");
    const rates = h("input", {
      autocomplete: "off", spellcheck: "false", value: this.rates, onchange: () => { this.rates = rates.value; this.chosen(); },
    });
    keepFocus(this.controls, [
      this.placeControl(0, "Across"), this.placeControl(1, "Upwards"),
      h("fieldset", {}, h("legend", {}, "The drawing"),
        choice("Covers", ZOOMS, String(this.zoom), (/** @type {string} */ zoom) => { this.zoom = zoom; this.chosen(); }),
        choice("Beside it, the loss", [["", "none"], ...others.map((/** @type {string} */ name) => [name, name.replaceAll("_", " ")])], this.other,
          (/** @type {string} */ name) => { this.other = name; this.chosen(); })),
      h("fieldset", {}, h("legend", {}, "Learning rates race"),
        this.startControl(0), this.startControl(1),
        h("label", { class: "field wide-field" }, h("span", {}, "Learning rates"), rates),
        number("Steps", this.steps, (/** @type {number} */ steps) => { this.steps = steps; this.chosen(); }, { min: 1, max: 1000, step: 1 }),
        race)]);
    this.drawStart();
  }

  /** @param {number} which @param {string} legend */
  placeControl(which, legend) {
    const { parameters } = this.lab.state;
    const [letter, layer, row, column] = this.places[which];
    const rows = parameters[`${letter}${layer}`];
    const set = (/** @type {Place} */ place) => {
      if (!exists(place, parameters)) return;
      this.places[which] = place;
      this.start = null;
      this.drawControls(); // at once: the reply may come while somebody types
      this.chosen();
    };
    const names = Object.keys(parameters).map((name) => [name, `${name[0]}[${name.slice(1)}]`]);
    return h("fieldset", {}, h("legend", {}, legend),
      choice("Array", /** @type {[string, string][]} */ (names), `${letter}${layer}`, (name) => set([name[0], Number(name.slice(1)), 0, 0])),
      number("Row", row, (value) => set(this.moved(which, 2, value)), { min: 0, max: rows.length - 1, step: 1 }),
      number("Column", column, (value) => set(this.moved(which, 3, value)), { min: 0, max: rows[0].length - 1, step: 1 }));
  }

  /** @param {number} which @param {number} entry @param {number} value @returns {Place} */
  moved(which, entry, value) {
    const place = /** @type {Place} */ ([...this.places[which]]);
    place[entry] = value;
    return place;
  }

  /** @param {number} which */
  startControl(which) {
    const field = number("", null, (value) => {
      const from = this.begins();
      from[which] = value;
      this.startAt(from);
    });
    field.querySelector("span").className = `start-${which}`;
    field.querySelector("input").className = `start-${which}`;
    return field;
  }

  drawStart() {
    const from = this.begins();
    for (const which of [0, 1]) {
      const [label, input] = this.controls.querySelectorAll(`.start-${which}`);
      label.textContent = `From ${nameOf(this.places[which])}`;
      if (document.activeElement !== input) input.value = String(Number(from[which].toPrecision(4)));
    }
  }

  /** Where a race begins. @returns {number[]} */
  begins() {
    if (this.start) return [...this.start];
    const { parameters } = this.lab.state;
    return this.places.map(([letter, layer, row, column]) => parameters[`${letter}${layer}`][row][column]);
  }

  /** @param {number[]} from */
  startAt(from) {
    this.start = from.map((value) => Number(value.toPrecision(4)));
    this.runs = [];
    this.chosen();
    say(`A race begins at ${this.start.map(shown).join(" and ")}.`);
  }

  // The race -----------------------------------------------------------------------------------

  async race() {
    const { lab } = this;
    const rates = this.rates.split(/[;,\s]+/).filter(Boolean).map((text) => Number(text.replace("−", "-")));
    if (!rates.length || !rates.every(Number.isFinite)) {
      say(`Learning rates must be numbers separated by commas, such as 0.1, 1, 3; got ${this.rates || "nothing"}.`);
      return;
    }
    if (lab.state.playing) await lab.pause();
    const { runs } = await lab.ask("race", { ...this.asked(), start: this.begins(), rates, steps: this.steps });
    Object.assign(this, { runs, raced: this.mark(), progress: 0 });
    await this.draw(); // so that it covers where they arrived
    const away = runs.filter((/** @type {any} */ run) => run.diverged).length;
    say(`The race is over: ${runs.length} paths, ${away ? `${away} of them diverged` : "none diverged"}; the table has the numbers.`);
    this.animate();
  }

  animate() {
    const began = performance.now();
    const frame = () => {
      this.progress = still.matches ? 1 : Math.min(1, (performance.now() - began) / (1000 * SECONDS));
      this.drawRuns();
      if (this.progress < 1) requestAnimationFrame(frame);
    };
    frame();
  }

  // Drawing ------------------------------------------------------------------------------------

  drawNote() {
    const { places, m, of, size, path, stride, step, from } = this.known;
    const whole = m === of ? `all ${of} training examples` : `${m} of the ${of} training examples`;
    const way = path.length > 1
      ? ` The thin line is their path from step ${count(from)} on, a point every ${stride === 1 ? "step" : `${count(stride)} steps`}; the others moved too, so only its end lies on this surface.`
      : " Train to see the path of the two.";
    this.note.textContent = `J over ${places[0]} and ${places[1]}, the others as they are at step ${count(step)}; ${whole}, ${size} × ${size} places.${way} Click to choose where a race begins.`;
  }

  drawPanels() {
    const { losses, fields } = this.known;
    this.layers = [];
    this.panels.replaceChildren(...losses.map((/** @type {any} */ loss, /** @type {number} */ k) => this.panel(loss, fields[k])));
    this.drawRuns();
  }

  /** A point in the drawing. @param {number[]} point */
  at([a, b]) {
    const [across, up] = this.known.extent;
    const x = LEFT + ((a - across[0]) / (across[1] - across[0])) * SIDE;
    const y = TOP + (1 - (b - up[0]) / (up[1] - up[0])) * SIDE;
    const bound = (/** @type {number} */ value) => Math.max(-1e4, Math.min(1e4, value)).toFixed(1);
    return `${bound(x)} ${bound(y)}`;
  }

  /** @param {number[][]} points */
  line(points) {
    return points.length ? `M${points.map((point) => this.at(point)).join("L")}` : "";
  }

  /** @param {any} loss @param {import("./contours.js").Field} field */
  panel(loss, field) {
    const { places, path, now, m, of } = this.known;
    const edges = levels(field);
    const canvas = h("canvas", { "aria-hidden": "true" });
    bands(canvas, field, edges);
    const name = loss.name.replaceAll("_", " ");
    const inside = (/** @type {number} */ along, /** @type {number} */ up) => `${(LEFT + along * SIDE).toFixed(1)} ${(TOP + (1 - up) * SIDE).toFixed(1)}`;
    const runs = s("g", { class: "runs" });
    const clip = `inside-${loss.name}`;
    const drawing = s("svg", {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img",
      "aria-label": `J by ${name} over ${places[0]} and ${places[1]}: now ${shown(loss.now)}, lowest here ${shown(loss.lowest)}`,
      onclick: (/** @type {MouseEvent} */ event) => this.clicked(event, drawing),
    },
      s("clipPath", { id: clip }, s("rect", { x: LEFT, y: TOP, width: SIDE, height: SIDE })),
      this.axes(),
      s("g", { "clip-path": `url(#${clip})` },
        edges.map((edge) => s("path", { class: "contour", d: contour(field, edge, inside) })),
        s("path", { class: "way halo", d: this.line([...path, now]) }), s("path", { class: "way", d: this.line([...path, now]) }),
        runs),
      this.dot(loss.lowest_at, "lowest"), this.dot(now, "now"));
    this.layers.push({ runs, loss: loss.name });
    const partly = m < of ? `, over ${m} examples` : "";
    return h("figure", { class: "surface" },
      h("figcaption", {}, h("strong", {}, `J by ${name}`), h("span", {}, `L = ${loss.formula}`)),
      h("div", { class: "plot" }, canvas, drawing),
      this.scale(edges, field),
      table(`Points by ${name}`, `Points of this surface${partly}`, ["Point", "J", ...places],
        [["now (dot)", loss.now, now], ["lowest here (ring)", loss.lowest, loss.lowest_at]].map(([title, J, point]) =>
          h("tr", {}, h("th", { scope: "row" }, title), [J, ...point].map((value) => h("td", {}, shown(value)))))));
  }

  axes() {
    const { extent, places } = this.known;
    const [across, up] = extent.map((/** @type {[number, number]} */ [low, high]) => ticks(low, high, 5));
    return s("g", { class: "axes" },
      s("rect", { class: "grid", x: LEFT, y: TOP, width: SIDE, height: SIDE }),
      across.map((/** @type {number} */ value) => {
        const [x] = this.at([value, 0]).split(" ");
        return [s("path", { class: "tick", d: `M${x} ${TOP + SIDE}v5` }), s("text", { x, y: TOP + SIDE + 19, "text-anchor": "middle" }, shown(value))];
      }),
      up.map((/** @type {number} */ value) => {
        const [, y] = this.at([0, value]).split(" ");
        return [s("path", { class: "tick", d: `M${LEFT} ${y}h-5` }), s("text", { x: LEFT - 9, y: Number(y) + 4, "text-anchor": "end" }, shown(value))];
      }),
      s("text", { class: "name", x: LEFT + SIDE / 2, y: TOP + SIDE + 40, "text-anchor": "middle" }, places[0]),
      s("text", { class: "name", x: 0, y: 0, "text-anchor": "middle", transform: `translate(14 ${TOP + SIDE / 2}) rotate(-90)` }, places[1]));
  }

  /** @param {number[]} point @param {string} kind */
  dot(point, kind) {
    const [cx, cy] = this.at(point).split(" ");
    return s("circle", { class: `dot ${kind}`, cx, cy, r: kind === "now" ? 6 : 7 });
  }

  /** What the colours stand for. @param {number[]} edges @param {import("./contours.js").Field} field */
  scale(edges, { values }) {
    const finite = values.filter(Number.isFinite);
    const low = finite.reduce((a, value) => Math.min(a, value), Infinity);
    const high = finite.reduce((a, value) => Math.max(a, value), -Infinity);
    const told = new Map([[0, low], [4, edges[3]], [8, edges[7]], [12, high]]);
    return h("p", { class: "band-scale", "aria-hidden": "true" }, asText(colours()).map((colour, k) => {
      const band = h("i", {});
      band.style.background = colour;
      return [told.has(k) && h("span", {}, shown(told.get(k))), band];
    }), h("span", {}, shown(high)));
  }

  /** @param {MouseEvent} event @param {SVGSVGElement} drawing */
  clicked(event, drawing) {
    const place = drawing.getBoundingClientRect();
    const scale = WIDTH / place.width;
    const along = ((event.clientX - place.left) * scale - LEFT) / SIDE;
    const up = 1 - ((event.clientY - place.top) * scale - TOP) / SIDE;
    if (Math.min(along, up) < 0 || Math.max(along, up) > 1) return;
    this.startAt([along, up].map((share, axis) => {
      const [low, high] = this.known.extent[axis];
      return low + share * (high - low);
    }));
  }

  /** The paths of the race, as far as it has come. */
  drawRuns() {
    for (const { runs, loss } of this.layers) {
      const start = this.start && !this.runs.length ? [this.dot(this.start, "begin")] : [];
      runs.replaceChildren(...start, ...this.runs.filter((run) => run.loss === loss).flatMap((run, k) => {
        const points = run.points.slice(0, Math.max(1, Math.ceil(run.points.length * this.progress)));
        const [cx, cy] = this.at(points[points.length - 1]).split(" ");
        const d = this.line(points);
        return [s("path", { class: "run halo", d }), s("path", { class: "run", d, ...style(k) }),
          s("circle", { class: "end", cx, cy, r: 5, fill: css(classes()[k]) })];
      }));
    }
  }

  drawResults() {
    this.results.replaceChildren(...(this.runs.length ? results(this.runs, this.known) : []), h("p", { class: "note" }, HOW));
  }
}

/** @type {import("../views.js").View} */
export const surface = {
  name: "surface",
  title: "Loss surface",
  why: "J as a landscape over two parameters, the others held fixed. Each colour is a band of J, each line a height; training looks for the way down.",
  suits: () => "",
  make: (lab, box) => {
    const view = new View(lab, box);
    return () => view.draw();
  },
};
