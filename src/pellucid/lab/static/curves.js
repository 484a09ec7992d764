// @ts-check
/** The curves of loss and accuracy, for both parts, beside the twin and the runs that were kept. */

import { at, h, s, shown } from "./dom.js";
import { live } from "./live.js";

const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP] = [420, 170, 46, 24, 10];
const POINTS = 400;

/** @typedef {{name: string, kind: string, epochs: number[], values: (number | null)[]}} Line */

/** @param {(number | null)[]} values the newest number, where there is one */
const newest = (values) => shown(values.findLast((/** @type {any} */ value) => value !== null));

/** Where an epoch stands: the axis is logarithmic, so that the first epochs are seen too. @param {number} epoch @param {number} last */
const across = (epoch, last) => LEFT + (Math.log1p(epoch) / Math.log1p(last)) * (WIDTH - LEFT - 6);

/** @param {Line} line @param {number} last @param {number} high */
function path({ epochs, values }, last, high) {
  const every = Math.max(1, Math.ceil(values.length / POINTS));
  let text = "";
  values.forEach((value, k) => {
    if (value === null || (k % every && k < values.length - 1)) return;
    const x = across(epochs[k], last);
    const y = TOP + (1 - Math.min(value, high) / high) * (HEIGHT - TOP - BOTTOM);
    text += `${text ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
  });
  return text;
}

/** A round number not smaller than this one. @param {number} value */
function roundUp(value) {
  const unit = 10 ** Math.floor(Math.log10(value || 1));
  return [1, 2, 5, 10].map((step) => step * unit).find((step) => step >= value) ?? value;
}

/**
 * @param {string} title
 * @param {Line[]} lines
 * @param {number | null} top the upper end, where it is fixed
 */
function chart(title, lines, top) {
  const last = Math.max(1, ...lines.map((line) => line.epochs.at(-1) ?? 0));
  let largest = 0;
  for (const { values } of lines) for (const value of values) largest = Math.max(largest, value ?? 0);
  const high = top ?? roundUp(largest);
  const told = lines.map((line) => `${line.name} ${newest(line.values)}`).join(", ");
  const drawing = s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${title} by epoch: ${told}` });
  for (const share of [0, 0.5, 1]) {
    const y = TOP + (1 - share) * (HEIGHT - TOP - BOTTOM);
    drawing.append(s("path", { class: "grid", d: `M${LEFT} ${y}H${WIDTH - 6}` }),
      s("text", { x: LEFT - 6, y: y + 4, "text-anchor": "end" }, shown(high * share)));
  }
  for (let epoch = 1; epoch <= last; epoch *= 10) {
    const [x, roomy] = [across(epoch, last), across(last, last) - across(epoch, last) > 110];
    if (roomy) drawing.append(s("text", { x, y: HEIGHT - 6, "text-anchor": "middle" }, epoch.toLocaleString("en")));
  }
  drawing.append(s("text", { x: LEFT, y: HEIGHT - 6, "text-anchor": "middle" }, "0"),
    s("text", { x: WIDTH - 6, y: HEIGHT - 6, "text-anchor": "end" }, `epoch ${last.toLocaleString("en")}`));
  for (const line of lines) drawing.append(s("path", { class: `line ${line.kind}`, d: path(line, last, high) }));
  return h("figure", { class: "chart" },
    h("figcaption", {}, h("strong", {}, title),
      lines.toReversed().map((line) => h("span", { class: "key" }, s("svg", { viewBox: "0 0 20 6", "aria-hidden": "true" },
        s("path", { class: `line ${line.kind}`, d: "M0 3H20" })), `${line.name} ${newest(line.values)}`))),
    drawing);
}

/** @param {import("./lab.js").Lab} lab @param {() => {name: string, curves: any}[]} keptRuns */
export function curves(lab, keptRuns) {
  /** @param {string} which @param {string} title @param {number | null} top */
  function lines(which, title, top) {
    const { curves: own, twin } = lab.state;
    /** @param {string} name @param {string} kind @param {any} from @param {string} key */
    const line = (name, kind, from, key) => ({ name, kind, epochs: from.epoch, values: from[key] ?? [] });
    const found = [
      ...keptRuns().map((run, k) => line(run.name, `kept kept-${k % 3}`, run.curves, which)),
      ...(twin ? [line("healthy twin", "twin", twin.curves, which)] : []),
      line("validation", "validation", own, `val_${which}`),
      line("training", "training", own, which),
    ].filter(({ values }) => values.some((/** @type {any} */ value) => value !== null));
    return found.length ? chart(title, found, top) : null;
  }
  function draw() {
    const charts = [lines("loss", "Loss J", null), lines("accuracy", "Accuracy", 1)].filter(Boolean);
    at("curves").replaceChildren(...(charts.length ? charts : [h("p", { class: "note" }, "The curves begin with the first epoch.")]));
  }
  lab.on("state", draw);
  lab.on("numbers", live(at("curves"), 5, draw));
  lab.on("kept", draw);
}
