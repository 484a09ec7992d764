// @ts-check
/** The diagnosis as it arises: a line that stays in sight, and a panel that says why and what to change. */

import { at, h, say } from "./dom.js";
import { inTurn, write } from "./live.js";

/** @typedef {import("./lab.js").Lab} Lab */
/** @typedef {{kind: string, name: string, severity: string, where: string, evidence: string, why: string, advice: string,
 *   apply: {settings: any, changed: string[]} | null}} Finding */

const PAUSE = 1000;
/** So many looks must find nothing, while it plays, before what was found goes away. */
const SURE = 3;

/** @param {string} text */
const capital = (text) => /^\w+\[/.test(text) ? text : text.charAt(0).toUpperCase() + text.slice(1);

/** @param {Finding} finding */
const place = ({ name, where }) => (where ? `${name}, ${where}` : name);

/** @param {Lab} lab */
export function diagnosis(lab) {
  const sentence = h("p", { class: "note" });
  const list = h("ul", { class: "findings" });
  const remarks = h("ul", { class: "findings" });
  const told = h("summary", {});
  const more = h("details", { class: "remarks" }, told, remarks);
  const earlier = h("p", { class: "note" });
  const thorough = h("button", { onclick: examine }, "Examine thoroughly");
  at("diagnosis").append(h("h3", {}, "Diagnosis"), sentence, list, more, earlier,
    h("div", { class: "row" }, thorough),
    h("p", { class: "note" }, "This pauses the training, compares it with simple learners, and also checks whether it has gone far enough."));

  /** @type {Map<string, {first: number, last: number, name: string}>} what was found since the first step */
  const seen = new Map();
  let [step, quiet, round, last] = [0, 0, 0, -Infinity];

  /** @param {any} found */
  function show(found) {
    /** @type {Finding[]} */
    const serious = found.findings.filter((/** @type {Finding} */ each) => each.severity !== "info");
    const harmless = found.findings.filter((/** @type {Finding} */ each) => each.severity === "info");
    if (found.step < step) seen.clear();
    quiet = serious.length ? 0 : quiet + 1;
    if (lab.state.playing && seen.size && quiet && quiet < SURE) return; // it may come back at once
    step = found.step;
    for (const { kind, name } of serious) seen.set(kind, { first: seen.get(kind)?.first ?? found.epoch, last: found.epoch, name });
    keyed(list, serious);
    keyed(remarks, harmless);
    write(sentence, "No problems so far.");
    sentence.hidden = serious.length > 0;
    write(told, `${harmless.length} ${harmless.length === 1 ? "remark" : "remarks"}`);
    more.hidden = harmless.length === 0;
    const gone = [...seen].filter(([kind]) => !serious.some((each) => each.kind === kind)).map(([, each]) => each);
    write(earlier, `Earlier in this training: ${gone.map(({ name, first, last: end }) => `${name} (${first === end ? "epoch" : `epochs ${first} to`} ${end})`).join(", ")}.`);
    earlier.hidden = gone.length === 0;
    verdict(serious);
  }

  /** @param {Finding[]} serious */
  function verdict(serious) {
    const line = at("verdict");
    const others = serious.length > 1 ? ` and ${serious.length - 1} more` : "";
    const text = serious.length ? `Diagnosis: ${place(serious[0])}${others}` : "";
    if (line.textContent === text) return; // so that it is spoken once
    line.replaceChildren(...(text ? [h("a", { href: "#diagnosis", onclick: jump }, text)] : []));
  }

  /** To the panel; the link of the page stays what it is. @param {Event} event */
  function jump(event) {
    event.preventDefault();
    at("diagnosis").scrollIntoView({ block: "nearest" });
    at("diagnosis").focus({ preventScroll: true });
  }

  /**
   * Elements stay while what they say changes: the focus and the reader's place with them.
   * @param {any} box @param {Finding[]} findings
   */
  function keyed(box, findings) {
    const before = new Map([...box.children].map((child) => [child.dataset.kind, child]));
    const now = findings.map((finding, k) => {
      const same = findings.slice(0, k).filter(({ kind }) => kind === finding.kind).length;
      const key = `${finding.kind} ${same}`;
      const item = before.get(key) ?? made(key);
      fillIn(item, finding);
      return item;
    });
    for (const child of [...box.children]) if (!now.includes(child)) child.remove();
    now.forEach((item, k) => box.children[k] !== item && box.insertBefore(item, box.children[k] ?? null));
  }

  /** @param {string} key */
  const made = (key) => h("li", { "data-kind": key },
    h("h4", {}, h("span", { class: "severity" }), h("span", { class: "name" })),
    h("p", { class: "evidence" }), h("p", { class: "note why" }), h("p", { class: "advice" }),
    h("button", { class: "apply" }));

  /** @param {any} item @param {Finding} finding */
  function fillIn(item, finding) {
    const part = (/** @type {string} */ name) => item.querySelector(`.${name}`);
    item.className = finding.severity;
    write(part("severity"), finding.severity === "info" ? "" : finding.severity);
    write(part("name"), capital(place(finding)));
    write(part("evidence"), `${capital(finding.evidence)}.`);
    write(part("why"), finding.why);
    write(part("advice"), finding.advice);
    part("apply").hidden = !finding.apply;
    if (!finding.apply) return;
    write(part("apply"), `Apply: ${finding.apply.changed.join("; ")}`);
    part("apply").onclick = () => apply(/** @type {NonNullable<Finding["apply"]>} */ (finding.apply));
  }

  /** @param {NonNullable<Finding["apply"]>} remedy */
  async function apply({ settings, changed }) {
    await lab.open({ ...lab.experiment, ...settings });
    say(`Changed ${changed.join("; ")}. The training starts over.`);
    at("diagnosis").focus({ preventScroll: true });
  }

  async function examine() {
    const mine = ++round;
    thorough.disabled = true;
    say("Examining the network, its training and its data.");
    try {
      if (lab.state.playing) await lab.pause();
      round = mine;
      const found = await lab.ask("diagnosis", { whole: true });
      if (mine === round) show(found);
      const count = found.findings.filter((/** @type {Finding} */ each) => each.severity !== "info").length;
      say(count ? `Examined: ${count} ${count === 1 ? "problem" : "problems"} found.` : "Examined: no problems found.");
    } finally {
      thorough.disabled = false;
    }
  }

  const refresh = inTurn(async () => {
    last = performance.now();
    const mine = ++round;
    const found = await lab.socket.ask("diagnosis").catch(() => null);
    if (found && mine === round) show(found);
  });

  lab.on("state", () => {
    if (!lab.state.brief) seen.clear(); // another experiment
    refresh();
  });
  lab.on("numbers", () => performance.now() - last > PAUSE && refresh());
}
