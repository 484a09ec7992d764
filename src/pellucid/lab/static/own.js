// @ts-check
/** What is the user's own: a model saved and opened, a table read; chosen, or dropped on the page. */

import { at, choice, h, say } from "./dom.js";
import { download } from "./keep.js";
import { write } from "./live.js";

/** @typedef {import("./lab.js").Lab} Lab */

const MODEL_FILE = /\.(zip|safetensors|json)$/i;

/** @param {Lab} lab */
export function own(lab) {
  at("keep").append(
    h("button", { onclick: () => save(lab) }, "Save model"),
    ...chooser("Open model", ".zip,.json,.safetensors", true, (files) => take(lab, files)));
  const open = h("div", { class: "row" }, chooser("Open a table (CSV)", ".csv,.tsv,.txt", false, (files) => take(lab, files)));
  const choosing = h("div", { class: "choosing" });
  const refused = h("p", { class: "warning", hidden: true });
  at("own").append(open, h("p", { class: "note" }, "Or drop one here."), refused, choosing);
  lab.on("refused", (why) => {
    write(refused, why);
    refused.hidden = !why;
  });
  lab.on("table", (table) => choose(lab, choosing, table));
  lab.on("state", () => {
    write(at("opened"), lab.state.opened ?? "");
    at("opened").hidden = !lab.state.opened;
  });
  dropping(lab);
}

/** @param {Lab} lab */
async function save(lab) {
  const { name, zip, columns } = await lab.ask("save");
  download(name, "application/zip", Uint8Array.from(atob(zip), (sign) => sign.charCodeAt(0)));
  say(`${name} is saved. Unpacked, ` + (columns ? "pellucid predict, evaluate, trace and lab, and pellucid.load read it."
    : "pellucid lab and pellucid.load read it; it has no table columns."));
}

/**
 * A button and the hidden chooser of files that it opens.
 * @param {string} label @param {string} accept @param {boolean} multiple
 * @param {(files: File[]) => void} chosen
 */
function chooser(label, accept, multiple, chosen) {
  const input = h("input", {
    type: "file", accept, multiple, hidden: true, "aria-label": label,
    onchange: () => {
      chosen([...input.files]);
      input.value = "";
    },
  });
  return [h("button", { onclick: () => input.click() }, label), input];
}

/** @param {Lab} lab */
function dropping(lab) {
  const mark = (/** @type {boolean} */ on) => document.body.classList.toggle("dropping", on);
  addEventListener("dragover", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    mark(true);
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) mark(false);
  });
  addEventListener("drop", async (event) => {
    mark(false);
    if (!event.dataTransfer?.files.length) return;
    event.preventDefault();
    const folder = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry()).find((entry) => entry?.isDirectory);
    const files = [...event.dataTransfer.files];
    if (folder) take(lab, await filesOf(/** @type {FileSystemDirectoryEntry} */ (folder)), folder.name);
    else take(lab, files);
  });
}

/** @param {FileSystemDirectoryEntry} folder @returns {Promise<File[]>} */
async function filesOf(folder) {
  /** @type {FileSystemEntry[]} */
  const entries = await new Promise((resolve, reject) => folder.createReader().readEntries(resolve, reject));
  const files = entries.filter((entry) => entry.isFile);
  return Promise.all(files.map((entry) => new Promise((resolve, reject) => /** @type {FileSystemFileEntry} */ (entry).file(resolve, reject))));
}

/**
 * A zip, the files of a model folder, or one table.
 * @param {Lab} lab @param {File[]} files @param {string} [folder]
 */
async function take(lab, files, folder) {
  if (!files.length) return;
  const [first] = files;
  lab.tell("refused", "");
  try {
    if (folder || (files.length > 1 || first.name === "model.json") && files.every(({ name }) => MODEL_FILE.test(name) || name === "report.html")) {
      const listed = files.map(({ name, size }) => [name, size]);
      await opened(lab, await send(lab, "folder", folder ?? "model", new Blob([`${JSON.stringify(listed)}\n`, ...files])));
    } else if (files.length > 1) {
      throw new Error("Open one table at a time, or the files of one model folder.");
    } else if (/\.zip$/i.test(first.name)) {
      await opened(lab, await send(lab, "zip", first.name, first));
    } else {
      lab.tell("table", await send(lab, "table", first.name, first));
    }
  } catch (error) {
    say(/** @type {Error} */ (error).message);
    lab.tell("refused", /** @type {Error} */ (error).message);
  }
}

/**
 * @param {Lab} lab @param {string} kind @param {string} name @param {Blob} body
 * @returns {Promise<any>}
 */
async function send(lab, kind, name, body) {
  const most = lab.catalogue.largest_upload;
  if (body.size > most) throw new Error(`${name} is ${Math.ceil(body.size / 2 ** 20)} MiB; the lab reads files of up to ${most / 2 ** 20} MiB.`);
  say(`Reading ${name} …`);
  const reply = await fetch(`/upload/${kind}?name=${encodeURIComponent(name)}`, {
    method: "POST", headers: { authorization: `Bearer ${lab.socket.key}`, "content-type": "application/octet-stream" }, body,
  }).catch(() => { throw new Error(`${name} could not be sent: is pellucid lab still running?`); });
  const text = await reply.text();
  if (!reply.headers.get("content-type")?.startsWith("application/json")) throw new Error(text.trim());
  const found = JSON.parse(text);
  if (found.error) throw new Error(found.error);
  return found;
}

/**
 * Open what the server made of it; what the link asked for, where it is that.
 * @param {Lab} lab @param {{experiment: any, dataset: any, note: string}} found
 */
async function opened(lab, { experiment, dataset, note }) {
  const { datasets } = lab.catalogue;
  if (!datasets.some((/** @type {any} */ each) => each.name === dataset.name)) datasets.push(dataset);
  const { missing } = lab;
  const asked = missing?.data?.name === experiment.data.name && (missing?.model ?? null) === (experiment.model ?? null);
  if (asked) lab.missing = null;
  lab.unit = null;
  await lab.open(asked ? missing : experiment);
  say(note);
}

/**
 * Ask which column of a table is to be learned.
 * @param {Lab} lab @param {HTMLElement} box
 * @param {{table: string, title: string, columns: string[], shown: string[], target: string}} table
 */
function choose(lab, box, table) {
  let [target, task] = [table.target, ""];
  const { model } = lab.experiment;
  const through = h("input", { type: "checkbox", checked: true });
  const learn = async () => {
    try {
      await opened(lab, await lab.ask("learn_table", { table: table.table, target, task: task || null, model: model && through.checked ? model : null }));
    } catch (error) {
      lab.tell("refused", /** @type {Error} */ (error).message);
      return;
    }
    lab.tell("refused", "");
    const again = h("button", { class: "quiet", onclick: () => choose(lab, box, { ...table, target }) }, `Another column of ${table.title}`);
    box.replaceChildren(again);
    again.focus();
  };
  const columns = choice("Column to learn", table.columns.map((name, k) => [name, table.shown[k]]), target, (value) => { target = value; });
  /** @type {[string, string][]} */
  const tasks = [["", "as its values suggest"], ["binary", "two classes"], ["multiclass", "several classes"], ["regression", "quantities"]];
  box.replaceChildren(
    h("p", {}, h("strong", {}, table.title), `, ${table.columns.length} columns`), columns,
    choice("It holds", tasks, task, (value) => { task = value; }),
    model ? h("label", { class: "tick" }, through, "Prepared as for the open model") : "",
    h("div", { class: "row" },
      h("button", { class: "primary", onclick: learn }, "Learn it"),
      h("button", { onclick: () => box.replaceChildren() }, "Not now")));
  say(`${table.title} is read: choose the column to learn.`);
  columns.querySelector("select").focus();
}
