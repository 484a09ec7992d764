// @ts-check
/** One forward and backward pass, step by step and cell by cell, with the real numbers. */

import { at, h, number, say, shown } from "./dom.js";
import { ofCell, written } from "./formulas.js";
import { matrix } from "./matrix.js";

/** The most parameters for which the gradient is checked unasked. */
const SMALL = 150;

/** The loss of each example as the lectures write it. @param {string} name as the server calls an array */
const called = (name) => name === "L" ? "ℒ" : name;

/** @param {import("./lab.js").Lab} lab */
export function pass(lab) {
  /** @type {any} */ let trace = null;
  /** @type {any[]} */ let steps = [];
  let first = 0, count = 4, current = 0, row = 0, column = 0;
  /** @type {any} */ let cell = null;
  /** @type {any} */ let updated = null;
  /** @type {any} */ let verdict = null;

  const box = at("steps");
  const strip = h("ol", { class: "strip", "aria-label": "Steps of the pass" });
  const check = h("div", { class: "check" });
  const view = h("div", { class: "step" });
  const from = number("From example", 0, (value) => { first = value; load(); }, { min: 0, step: 1 });
  const many = number("how many", 4, (value) => { count = value; load(); }, { min: 1, max: 32, step: 1 });
  box.append(
    h("p", { class: "note" }, "Every number of one forward and one backward pass. ", h("kbd", {}, "→"), " and ", h("kbd", {}, "←"), " go from cell to cell, ",
      h("kbd", {}, "↓"), " and ", h("kbd", {}, "↑"), " from step to step."),
    h("div", { class: "row" },
      h("div", { class: "row", role: "group", "aria-label": "Move through the pass" },
        h("button", { onclick: () => moveStep(-1) }, "Previous step"), h("button", { class: "primary", onclick: () => moveStep(1) }, "Next step"),
        h("button", { onclick: () => moveCell(-1) }, "Previous cell"), h("button", { onclick: () => moveCell(1) }, "Next cell")),
      from, many),
    strip, view, check);
  box.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (/** @type {HTMLElement} */ (event.target).matches("input, select, .formula, .scroll")) return; // these have their own use of the arrows
    /** @type {Record<string, () => any>} */
    const moves = { ArrowRight: () => moveCell(1), ArrowLeft: () => moveCell(-1), ArrowDown: () => moveStep(1), ArrowUp: () => moveStep(-1) };
    if (!(event.key in moves)) return;
    event.preventDefault();
    moves[event.key]();
  });

  /** The examples of the pass: those learned from, one after the other. */
  function chosen() {
    const { training } = lab.state.data;
    first = Math.max(0, Math.min(first, training.length - 1));
    return training.slice(first, first + Math.max(1, Math.min(count, 32)));
  }

  let asked = 0;
  async function load() {
    if (lab.state.playing) return void lab.pause(); // which loads the pass
    const mine = ++asked;
    try {
      await loaded(mine);
    } catch (error) {
      if (mine !== asked) return; // of an experiment that is no longer open
      trace = null;
      steps = [];
      strip.replaceChildren();
      check.replaceChildren();
      view.replaceChildren(h("p", { class: "note" }, /** @type {Error} */ (error).message));
    }
  }

  /** @param {number} mine */
  async function loaded(mine) {
    const examples = chosen();
    const fresh = await lab.socket.ask("trace", { examples }); // what it refuses is said in its place
    if (mine !== asked) return;
    trace = fresh;
    steps = [...trace.steps, { phase: "Update", result: "new W, b", rows: 0 }];
    const kept = Math.min(current, steps.length - 1);
    verdict = null;
    await choose(kept, Math.min(row, (steps[kept].rows || 1) - 1), Math.min(column, (steps[kept].columns || 1) - 1), false);
    if (mine === asked && lab.state.n_parameters <= SMALL && examples.length <= 8) await checked();
    else drawCheck();
  }

  /** @param {number} step @param {number} r @param {number} c @param {boolean} [aloud] */
  async function choose(step, r = 0, c = 0, aloud = true) {
    [current, row, column] = [step, r, c];
    cell = null;
    if (lab.state.playing) return void lab.pause(); // which loads the pass, with this cell
    const { letter, layer, rows } = steps[step];
    if (rows) {
      const mine = asked;
      const found = await lab.ask("cell", { letter, layer, row, column });
      if (mine !== asked || current !== step || row !== r || column !== c) return;
      cell = found;
    }
    draw();
    if (aloud) tell();
  }

  function tell() {
    say(cell ? `${cell.formula} ${cell.numbers}`.replaceAll(" * ", " times ") : "Update: W and b of every layer.");
  }

  /** @param {number} by */
  const moveStep = (by) => trace && choose(Math.max(0, Math.min(steps.length - 1, current + by)));

  /** In reading order, and on to the next step. @param {number} by */
  function moveCell(by) {
    if (!trace) return;
    const { rows, columns } = steps[current];
    const place = row * columns + column + by;
    if (rows && place >= 0 && place < rows * columns) return choose(current, Math.floor(place / columns), place % columns);
    const next = current + by;
    if (next < 0 || next >= steps.length) return undefined;
    const { rows: height, columns: width } = steps[next];
    return by > 0 || !height ? choose(next) : choose(next, height - 1, width - 1);
  }

  function draw() {
    const inside = box.contains(document.activeElement) && view.contains(document.activeElement);
    drawStrip();
    const step = steps[current];
    view.replaceChildren(...(step.phase === "Update" ? updateStep() : matrixStep(step)));
    if (inside) /** @type {HTMLElement | null} */ (view.querySelector("button[tabindex='0']"))?.focus();
  }

  function drawStrip() {
    let phase = "";
    const focused = strip.contains(document.activeElement);
    strip.replaceChildren(...steps.map((step, k) => {
      const head = step.phase !== phase && h("span", { class: "phase" }, step.phase);
      phase = step.phase;
      return h("li", { class: head && "first" }, head, h("button", {
        class: `small${step.broken ? " broken" : ""}`, "aria-current": k === current ? "step" : undefined, tabindex: k === current ? 0 : -1,
        onclick: () => choose(k),
      }, called(step.result)));
    }));
    const button = strip.querySelector("[aria-current]");
    if (focused) button?.focus();
  }

  /** @param {any} step */
  function matrixStep(step) {
    const sources = new Set((cell?.sources ?? []).map((/** @type {any} */ each) => `${each.array},${each.row},${each.column}`));
    const near = (/** @type {string} */ name) => {
      const found = cell?.sources.find((/** @type {any} */ each) => each.array === name);
      return /** @type {[number, number]} */ (found ? [found.row, found.column] : [0, 0]);
    };
    const put = new Set(step.parts.map((/** @type {any} */ part) => part.name));
    /** @type {string[]} */ // what the cell comes from beside what the step shows: with a fused pair ℒ is worked out from Z
    const others = [...new Set(/** @type {string[]} */ ((cell?.sources ?? []).map((/** @type {any} */ each) => each.array)))].filter((name) => !put.has(name) && name in trace.arrays);
    return [
      h("h3", {}, `${step.phase}: ${called(step.result)}`),
      formula("Formula", written(step.mathml)),
      h("p", { class: "note" }, step.why),
      step.broken && h("p", { class: "warning" }, step.broken),
      h("div", { class: "equation" },
        matrix(step.result, trace.arrays[step.result], { title: called(step.result), around: [row, column], chosen: [row, column], pick: (r, c) => choose(current, r, c) }),
        h("span", { class: "sign" }, "="),
        step.parts.map((/** @type {any} */ part) => typeof part === "string"
          ? h("span", { class: "sign" }, part.replace("*", "∗"))
          : matrix(part.name, trace.arrays[part.name], { title: called(part.name), transposed: part.transposed, around: near(part.name), sources })),
        others.map((name) => [h("span", { class: "sign" }, "from"), matrix(name, trace.arrays[name], { around: near(name), sources })])),
      cell && h("div", { class: "cell", "data-value": cell.value },
        h("h4", {}, `${called(step.result)}, row ${row}, column ${column}`),
        formula("Formula of the cell", ofCell(cell.formula)),
        formula("The same with its numbers", ofCell(cell.numbers))),
    ].filter(Boolean);
  }

  /** Long ones are scrolled, by keyboard too. @param {string} label @param {Node} math */
  const formula = (label, math) => h("div", { class: "formula", tabindex: 0, role: "group", "aria-label": label }, math);

  function updateStep() {
    const { before, after, learning_rate } = updated ?? {};
    const { fault, learning_rate: set } = lab.experiment; // a fault may change it
    const rate = updated ? shown(learning_rate) : fault ? "γ" : shown(set);
    const layers = lab.state.n.slice(1).map((/** @type {any} */ _, /** @type {number} */ k) => k + 1);
    return [
      h("h3", {}, "Update: one step of gradient descent"),
      h("p", { class: "formula" }, `W[l] := W[l] − ${rate} dW[l],  b[l] := b[l] − ${rate} db[l]`),
      h("button", { class: "primary", onclick: update }, updated ? "Update again" : "Do the update"),
      ...layers.flatMap((/** @type {number} */ l) => ["W", "b"].map((letter) => h("div", { class: "equation" }, updated
        ? [matrix(`${letter}[${l}]`, before[`${letter}${l}`], { title: `old ${letter}[${l}]` }), h("span", { class: "sign" }, "→"),
          matrix(`${letter}[${l}]`, after[`${letter}${l}`], { title: `new ${letter}[${l}]`, changed: before[`${letter}${l}`] })]
        : [matrix(`${letter}[${l}]`, lab.state.parameters[`${letter}${l}`]), h("span", { class: "sign" }, `− ${rate} ∗`), matrix(`d${letter}[${l}]`, trace.arrays[`d${letter}[${l}]`])]))),
    ];
  }

  async function update() {
    const { state, ...changes } = await lab.ask("update");
    lab.take(state);
    updated = changes;
    await load();
    say(`Updated. J of these examples is now ${shown(trace.J)}.`);
    /** @type {HTMLElement | null} */ (view.querySelector("button"))?.focus();
  }

  async function checked() {
    if (lab.state.playing) await lab.pause();
    const mine = asked;
    const found = await lab.ask("check");
    if (mine !== asked) return;
    verdict = found;
    drawCheck();
  }

  function drawCheck() {
    check.replaceChildren(h("button", { onclick: checked }, "Check the gradient"), ...(verdict ? [judged()] : []));
  }

  function judged() {
    return h("p", { class: verdict.ok ? "good" : "warning" }, `Checked: ${verdict.verdict}. ${verdict.why ?? ""}`);
  }

  lab.on("leaving", () => asked++);
  lab.on("state", () => {
    if (!lab.state.playing) {
      updated = null;
      many.querySelector("input").value = String(count);
      load();
    }
  });
}
