// @ts-check
/** What the page knows: the experiment, its numbers, and how they change. */

import { Socket } from "./socket.js";
import { say, shown } from "./dom.js";

/** Cells of a map times parameters. */
const MOST_PRODUCTS = 5e7;

/**
 * @typedef {{units: number, activation: string, dropout?: number}} LayerSettings
 * @typedef {{data: any, layers: LayerSettings[], output: {activation: string}, loss: string,
 *   initializer: string, seed: number, optimizer: string, learning_rate: number, batch_size: number,
 *   l1: number, l2: number, fault: string | null, parameters?: any, model?: string | null}} Experiment
 */

/** @param {any} value */
export const toLink = (value) => {
  const bytes = new TextEncoder().encode(JSON.stringify(value));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
};

/** @param {string} text @returns {any} null where it is no state */
export const fromLink = (text) => {
  try {
    const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(binary, (c) => c.charCodeAt(0))));
  } catch {
    return null;
  }
};

/**
 * Events: "leaving" (something else is asked for; what is asked of the present state is of no use),
 * "state" (everything anew), "numbers" (parameters and curves), "play",
 * "unit" (what the map shows), "boundary".
 */
export class Lab extends EventTarget {
  constructor() {
    super();
    this.socket = new Socket();
    /** @type {any} */ this.catalogue = {};
    /** @type {any} */ this.state = {};
    /** @type {string[]} */ this.hidden = [];
    /** The name of the view that is looked at; "" is the first. */
    this.view = "";
    /** @type {Record<string, any>} what each view keeps in the link, by its name */
    this.looks = {};
    /** @type {[number, number] | null} the unit whose map is shown; null is the output */
    this.unit = null;
    /** The two inputs on the axes of the map; the others are held at their mean. */
    this.columns = [0, 1];
    /** @type {any} the frame of the last boundary */
    this.boundary = null;
    this.opened = 0;
    /** @type {Experiment | null} what the link asked for and the server does not hold yet */
    this.missing = null;
    /** @type {any} the newest frame not yet drawn */
    this.newest = null;
    this.socket.addEventListener("frame", (event) => this.arrived(/** @type {CustomEvent} */ (event).detail));
    this.socket.addEventListener("stopped", (event) => {
      const { reason, ...state } = /** @type {CustomEvent} */ (event).detail;
      this.take(state);
      if (!state.message) say(`Stopped: ${reason}. J = ${shown(state.J)}.`);
    });
    this.socket.addEventListener("closed", () => this.state.playing && this.playing(false));
  }

  /** @returns {Experiment} */
  get experiment() {
    return this.state.experiment;
  }

  /** Whether the inputs are two numbers: points of the plane, that can be moved. */
  get flat() {
    return this.state.n?.[0] === 2;
  }

  /** Whether the map is a plane; over one input it is a line. */
  get plane() {
    return this.state.n[0] >= 2;
  }

  /** What a map is asked with: the larger the network, the fewer cells, so that a frame stays cheap. */
  get mapped() {
    const size = Math.floor(Math.sqrt(MOST_PRODUCTS / this.state.n_parameters));
    return { size: Math.max(25, Math.min(100, size)), ...this.across };
  }

  /** The inputs on the axes, where there is a choice. */
  get across() {
    return this.state.n[0] > 2 ? { columns: this.columns } : {};
  }

  /** @param {string} name @param {any} [detail] */
  tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  /** @param {string} name @param {(detail: any) => void} listener */
  on(name, listener) {
    this.addEventListener(name, (event) => listener(/** @type {CustomEvent} */ (event).detail));
  }

  /**
   * Ask the server; what it refuses is said in its own sentence.
   * @param {string} what @param {Record<string, any>} [more]
   */
  async ask(what, more = {}) {
    try {
      return await this.socket.ask(what, more);
    } catch (error) {
      say(/** @type {Error} */ (error).message);
      throw error;
    }
  }

  /** Only the newest of what was asked for is taken. @param {Experiment} experiment */
  async open(experiment) {
    const mine = ++this.opened;
    this.tell("leaving");
    const state = await this.ask("open", { experiment });
    if (mine === this.opened) this.take(state);
  }

  /**
   * The same experiment with some settings changed, from its start. They count at once, so that
   * the next change, which may come before the reply, adds to them.
   * @param {Partial<Experiment>} settings
   */
  async change(settings) {
    const before = this.experiment;
    const typed = "layers" in settings || "initializer" in settings ? { parameters: null, model: null } : {}; // such weights no longer fit
    const wanted = { ...before, ...typed, ...settings };
    this.state.experiment = wanted;
    try {
      await this.open(wanted);
    } catch {
      if (this.experiment === wanted) this.state.experiment = before;
      this.tell("state");
    }
  }

  /** @param {any} state everything, as the server holds it */
  take(state) {
    if (!state.brief) {
      this.boundary = null;
      if (String(state.data.inputs) !== String(this.state.data?.inputs)) this.look(state.data);
    } else state.data = { ...this.state.data, ...state.data };
    this.state = state;
    if (this.newest) this.socket.acknowledge(this.newest.sequence);
    this.newest = null;
    const [layer, unit] = this.unit ?? [0, 0];
    if (this.unit && (layer >= state.n.length || unit >= state.n[layer])) this.unit = null;
    this.keepInLink();
    this.tell("state");
    this.playing(state.playing);
    this.fetchBoundary();
    if (state.message || state.note) say(state.message ? `Training ${state.message}` : state.note);
  }

  /** The map of other data: what the link asks for at first, else the output over the two widest inputs. @param {any} data */
  look({ X, inputs }) {
    const { columns, unit } = (!this.state.data && this.looks.map) || {};
    const places = (/** @type {any} */ pair) => Array.isArray(pair) && pair.length === 2 && pair.every((k) => Number.isInteger(k) && k >= 0);
    const fits = places(columns) && columns[0] !== columns[1] && Math.max(...columns) < inputs.length;
    this.columns = fits ? columns : widest(X);
    if (places(unit) && unit[0] > 0) this.unit = unit;
  }

  keepInLink() {
    const map = { columns: this.across.columns, unit: this.unit ?? undefined };
    const looks = { ...this.looks, map: map.columns || map.unit ? map : undefined };
    const link = toLink({ experiment: this.experiment, hidden: this.hidden, view: this.view, looks });
    history.replaceState(null, "", `#${link}`);
  }

  /** @param {boolean} on */
  playing(on) {
    this.state.playing = on;
    this.tell("play");
  }

  /**
   * One of: epoch, batch, example, reset.
   * @param {string} what
   */
  async step(what) {
    this.take(await this.ask(what));
  }

  /** @param {number | null} speed */
  async play(speed) {
    await this.watch();
    this.tell("leaving");
    this.take(await this.ask("play", { speed }));
  }

  async pause() {
    this.take(await this.ask("pause"));
  }

  watch() {
    return this.ask("watch", { boundary: true, unit: this.unit, ...this.mapped });
  }

  /** @param {[number, number] | null} unit @param {number[]} [columns] */
  async show(unit, columns = this.columns) {
    this.unit = unit;
    this.columns = columns;
    this.keepInLink();
    this.tell("unit");
    if (this.state.playing) await this.watch();
    await this.fetchBoundary();
  }

  async fetchBoundary() {
    this.boundary = await this.ask("boundary", { unit: this.unit, ...this.mapped });
    this.tell("boundary");
  }

  /** @param {any} frame draw the newest at the next animation frame, then ask for more */
  arrived(frame) {
    const scheduled = this.newest !== null;
    this.newest = frame;
    if (scheduled) return;
    requestAnimationFrame(() => {
      const newest = this.newest;
      this.newest = null;
      if (newest) {
        this.absorb(newest);
        this.socket.acknowledge(newest.sequence);
      }
    });
  }

  /** @param {any} frame */
  absorb(frame) {
    const { header, arrays } = frame;
    const { state } = this;
    Object.assign(state, { epoch: header.epoch, step: header.step, J: header.J });
    append(state.curves, header.curves);
    state.accuracy = header.curves?.accuracy?.findLast((/** @type {any} */ value) => value !== null) ?? state.accuracy;
    if (state.twin && header.twin) append(state.twin.curves, header.twin.curves);
    for (const [name, { shape, values }] of Object.entries(arrays)) {
      if (name in state.parameters) state.parameters[name] = rows(values, shape);
    }
    if (arrays.A) state.data.A = rows(arrays.A.values, arrays.A.shape);
    if (arrays.boundary) {
      this.boundary = frame;
      this.tell("boundary");
    }
    this.tell("numbers");
  }
}

/**
 * The two inputs that differ most between the examples; of equal ones the first.
 * @param {number[][]} X
 */
export function widest(X) {
  const spread = X.map((row) => {
    const mean = row.reduce((sum, x) => sum + x, 0) / row.length;
    return Number((row.reduce((sum, x) => sum + (x - mean) ** 2, 0) / row.length).toPrecision(3));
  });
  const order = spread.map((_, k) => k).sort((a, b) => spread[b] - spread[a]);
  return order.slice(0, 2).sort((a, b) => a - b);
}

/** @param {Record<string, number[]>} curves @param {Record<string, number[]> | undefined} more */
function append(curves, more) {
  for (const [name, points] of Object.entries(more ?? {})) (curves[name] ??= []).push(...points);
}

/**
 * @param {Float32Array} values
 * @param {number[]} shape
 */
export function rows(values, [count, width]) {
  return Array.from({ length: count }, (_, row) => Array.from(values.subarray(row * width, (row + 1) * width)));
}
