// @ts-check
/** Play, pause, one step; how fast; when to stop; how far it is. */

import { at, choice, h, number, say, shown } from "./dom.js";
import { live, write } from "./live.js";

/** @param {import("./lab.js").Lab} lab */
export function training(lab) {
  /** @type {number | null} */
  let speed = null;
  /** @type {{epoch: number | null, loss: number | null}} */
  const stop = { epoch: null, loss: null };

  const play = h("button", { class: "primary", onclick: () => (lab.state.playing ? lab.pause().then(report) : lab.play(speed)) }, "Play");
  const once = (/** @type {string} */ text, /** @type {string} */ what) =>
    h("button", { onclick: async () => { await lab.step(what); report(); } }, text);
  const reset = h("button", {
    onclick: async () => { await lab.step("reset"); say("Back to the same initial weights."); },
  }, "Reset");
  /** @type {[string, string][]} */
  const speeds = [["", "full speed"], ["1", "1 step a second"], ["5", "5 steps a second"], ["20", "20 steps a second"], ["100", "100 steps a second"]];
  const stopAt = (/** @type {"epoch" | "loss"} */ which, /** @type {any} */ input) => {
    input.querySelector("input").addEventListener("input", (/** @type {any} */ event) => {
      stop[which] = event.target.value === "" ? null : Number(event.target.value);
      if (event.target.checkValidity()) lab.ask("stop_at", stop);
    });
    return input;
  };
  at("controls").append(
    h("div", { class: "row", role: "group", "aria-label": "Train" }, play, once("One epoch", "epoch"), once("One mini-batch", "batch"), once("One example", "example"), reset),
    h("div", { class: "row" },
      choice("Speed", speeds, "", (value) => {
        speed = value ? Number(value) : null;
        if (lab.state.playing) lab.play(speed);
      }),
      stopAt("epoch", number("Stop at epoch", null, () => undefined, { min: 1, step: 1, placeholder: "never" })),
      stopAt("loss", number("or at J below", null, () => undefined, { min: 0, placeholder: "never" }))));

  const report = () => say(`Epoch ${lab.state.epoch}, step ${lab.state.step}: J = ${shown(lab.state.J)}.`);

  /** @type {Map<string, any>} */
  const told = new Map();
  function numbers() {
    const { epoch, step, J, accuracy } = lab.state;
    const parts = [["Epoch", epoch.toLocaleString("en")], ["Step", step.toLocaleString("en")], ["J", shown(J)]];
    if (accuracy !== null) parts.push(["Accuracy", shown(accuracy)]);
    const names = parts.map(([name]) => name);
    if (names.join() !== [...told.keys()].join()) {
      told.clear();
      for (const name of names) told.set(name, h("dd"));
      at("numbers").replaceChildren(...names.map((name) => h("div", {}, h("dt", {}, name), told.get(name))));
    }
    for (const [name, value] of parts) write(told.get(name), value);
  }
  lab.on("state", numbers);
  lab.on("numbers", live(at("numbers"), 10, numbers));
  lab.on("play", () => {
    play.textContent = lab.state.playing ? "Pause" : "Play";
    document.body.classList.toggle("playing", lab.state.playing);
  });
}
