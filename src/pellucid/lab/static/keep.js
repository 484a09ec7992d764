// @ts-check
/** Keeping: runs side by side, the link, the script, the drawing; what a class does not see. */

import { at, choice, h, say, shown, table } from "./dom.js";
import { drawingAsFile } from "./network.js";

/** @typedef {import("./lab.js").Lab} Lab */

/** @param {string} name @param {string} type @param {BlobPart} content */
export function download(name, type, content) {
  const link = h("a", { href: URL.createObjectURL(new Blob([content], { type })), download: name });
  link.click();
  URL.revokeObjectURL(link.href);
}

/** @param {Lab} lab */
export function keep(lab) {
  const { presets } = lab.catalogue;
  let opening = "";
  const prepared = choice("Prepared", [["", "choose …"], ...presets.map((/** @type {any} */ each) => [each.name, each.title])], "", async (name) => {
    const preset = presets.find((/** @type {any} */ each) => each.name === name);
    if (!preset) return;
    lab.unit = null;
    if (preset.view) lab.view = preset.view;
    opening = name;
    await lab.open(preset.experiment);
    lab.tell("view");
    say(preset.why ?? preset.title);
  });
  lab.on("state", () => {
    if (lab.state.brief) return;
    prepared.querySelector("select").value = opening; // what was changed is no longer what was prepared
    opening = "";
  });
  at("presets").append(prepared);
  at("keep").append(
    h("button", {
      onclick: async () => {
        try {
          await navigator.clipboard.writeText(location.href);
          say("The link is copied. It holds the settings, nothing secret.");
        } catch {
          say("The address of this page is the link.");
        }
      },
    }, "Copy link"),
    h("button", { onclick: async () => download("experiment.py", "text/x-python", (await lab.ask("script")).python) }, "Python script"),
    h("button", { onclick: () => download("network.svg", "image/svg+xml", drawingAsFile()) }, "Drawing as SVG"));
}

/** Runs that were kept, in this page. @param {Lab} lab */
export function runs(lab) {
  /** @type {{name: string, experiment: any, network: string, epoch: number, J: number, accuracy: any, val: any, curves: any}[]} */
  const kept = [];
  let count = 0;
  const last = (/** @type {any} */ values) => (values ?? []).findLast((/** @type {any} */ value) => value !== null);
  function add() {
    const { experiment, n, epoch, J, accuracy, curves } = lab.state;
    count += 1;
    kept.push({
      name: `run ${count}`, experiment: structuredClone(experiment), network: n.join("-"), epoch, J,
      accuracy, val: last(curves.val_loss), curves: structuredClone(curves),
    });
    say(`Run ${count} is kept.`);
    draw();
  }
  function draw() {
    const headings = ["Run", "Data", "Network", "g", "Optimizer", "Learning rate", "Batch", "Epochs", "J", "Validation J", "Accuracy", "Open", "Remove"];
    const row = (/** @type {any} */ run) => {
      const { experiment: e } = run;
      const cells = [e.data.name, run.network, [...new Set(e.layers.map((/** @type {any} */ layer) => layer.activation))].join(", ") || e.output.activation,
        e.optimizer, shown(e.learning_rate), e.batch_size, run.epoch, shown(run.J), shown(run.val) || "none", shown(run.accuracy) || "none"];
      return h("tr", {}, h("th", { scope: "row" }, run.name), cells.map((value) => h("td", {}, String(value))),
        h("td", {}, h("button", { class: "small", "aria-label": `Open the settings of ${run.name}`, onclick: () => lab.open(run.experiment) }, "Open")),
        h("td", {}, h("button", { class: "small", "aria-label": `Remove ${run.name}`, onclick: () => { kept.splice(kept.indexOf(run), 1); draw(); } }, "Remove")));
    };
    at("kept").replaceChildren(
      h("button", { onclick: add }, "Keep this run"),
      kept.length
        ? table("Table of runs", "Their curves are drawn as thin lines beside the current one.", headings, kept.map(row))
        : h("p", { class: "note" }, "A kept run stays here with its settings, and its curves stay beside those of later runs."));
    lab.tell("kept");
  }
  return { draw, kept: () => kept };
}

const PARTS = { data: "Data", settings: "Learning", pass: "One pass", views: "Look closer", examples: "Examples", runs: "Runs", diagnosis: "Diagnosis", keep: "Link, model, script, drawing", presets: "Prepared experiments" };

/** What a teacher leaves out of the link. @param {Lab} lab */
export function hiding(lab) {
  function apply() {
    for (const id of Object.keys(PARTS)) at(id).hidden = lab.hidden.includes(id);
    lab.keepInLink();
  }
  at("hiding").append(
    h("p", { class: "note" }, "Whatever is not ticked is hidden on this page and behind the link that you copy."),
    h("div", { class: "row" }, Object.entries(PARTS).map(([id, text]) => {
      const box = h("input", {
        type: "checkbox", checked: !lab.hidden.includes(id),
        onchange: () => {
          lab.hidden = lab.hidden.filter((each) => each !== id);
          if (!box.checked) lab.hidden.push(id);
          apply();
        },
      });
      return h("label", { class: "tick" }, box, text);
    })));
  apply();
}
