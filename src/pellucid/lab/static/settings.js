// @ts-check
/** The choices: data set, loss, optimizer and the rest, and the faults. */

import { at, choice, h, keepFocus, number, say } from "./dom.js";

/** @typedef {import("./lab.js").Lab} Lab */

/** @param {Lab} lab */
export function dataSettings(lab) {
  lab.on("state", () => {
    const { data } = lab.experiment;
    const { datasets } = lab.catalogue;
    const set = datasets.find((/** @type {any} */ each) => each.name === data.name);
    const change = (/** @type {any} */ settings) => lab.change({ data: { ...data, points: null, ...settings } });
    const choose = (/** @type {string} */ name) => {
      const { output, loss, parameters, model, ...others } = lab.experiment; // those that suit the new data are the server's choice
      lab.unit = null;
      lab.open(/** @type {any} */ ({ ...others, data: { name, split: data.split, seed: data.seed } }))
        .then(() => say(`${lab.state.data.X[0].length} examples to look at and to learn. The training starts over.`), () => lab.tell("state"));
    };
    keepFocus(at("data-settings"), [
      choice("Data set", datasets.map((/** @type {any} */ each) => [each.name, each.title]), data.name, choose),
      h("p", { class: "note" }, set.note, data.points ? " The points were changed by hand. " : "",
        data.points && h("button", { class: "quiet", onclick: () => change({ m: undefined }) }, "Restore the original points")),
      h("div", { class: "fields" },
        !data.points && number("Examples", lab.state.data.X[0].length, (m) => change({ m }), { min: 1, step: 1 }),
        set.noise && !data.points && number("Noise", data.noise, (noise) => change({ noise }), { min: 0, max: 5 }),
        number("For validation", data.split, (split) => change({ split, points: data.points }), { min: 0, max: 0.9 }),
        number("Seed", data.seed, (seed) => change({ seed, points: data.points }), { min: 0, step: 1 })),
    ]);
  });
}

/** @param {Lab} lab */
export function learning(lab) {
  lab.on("state", () => {
    const { catalogue, experiment } = lab;
    const named = (/** @type {any[]} */ list) =>
      /** @type {[string, string][]} */ (list.map((each) => [each.name, each.name.replaceAll("_", " ")]));
    const rate = (/** @type {string} */ name) =>
      catalogue.optimizers.find((/** @type {any} */ each) => each.name === name)?.learning_rate;
    /** @type {[string, string][]} */
    const initializers = [["", "to suit the activation"], ...named(catalogue.initializers)];
    keepFocus(at("learning"), [h("div", { class: "fields" },
      choice("Loss", named(catalogue.losses), experiment.loss, (loss) => lab.change({ loss })),
      choice("Optimizer", named(catalogue.optimizers), experiment.optimizer, (optimizer) => lab.change({ optimizer, learning_rate: rate(optimizer) })),
      number("Learning rate", experiment.learning_rate, (learning_rate) => lab.change({ learning_rate }), { min: 1e-9 }),
      number("Batch size", experiment.batch_size, (batch_size) => lab.change({ batch_size }), { min: 1, step: 1 }),
      choice("Initial weights", initializers, experiment.initializer ?? "", (name) => lab.change({ initializer: /** @type {any} */ (name || null) })),
      number("Seed", experiment.seed, (seed) => lab.change({ seed }), { min: 0, step: 1 }),
      number("Penalty L2", experiment.l2, (l2) => lab.change({ l2 }), { min: 0 }),
      number("Penalty L1", experiment.l1, (l1) => lab.change({ l1 }), { min: 0 })),
    ]);
    const { faults } = catalogue;
    const fault = faults.find((/** @type {any} */ each) => each.name === experiment.fault);
    keepFocus(at("faults"), [
      choice("Fault", [["", "none (healthy)"], ...faults.map((/** @type {any} */ each) => [each.name, each.title])], experiment.fault ?? "",
        (name) => lab.change({ fault: name || null })),
      fault ? h("p", { class: "warning" }, fault.why) : h("p", { class: "note" }, "Choose a fault and train: a healthy twin with the same seed runs beside it."),
    ]);
  });
}
