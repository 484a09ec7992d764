// @ts-check
/** The beginning: connect, ask what there is, open what the link says, and let every part draw itself. */

import { curves } from "./curves.js";
import { diagnosis } from "./diagnosis.js";
import { say } from "./dom.js";
import { examples } from "./examples.js";
import { hiding, keep, runs } from "./keep.js";
import { Lab, fromLink } from "./lab.js";
import { map } from "./map.js";
import { network } from "./network.js";
import { outside } from "./outside.js";
import { own } from "./own.js";
import { dimensions, parameters } from "./parameters.js";
import { pass } from "./pass.js";
import { dataSettings, learning } from "./settings.js";
import { training } from "./training.js";
import { views } from "./views.js";

if (parent !== window) parent.postMessage("the lab's page is here", "*"); // a notebook waits for it
const lab = new Lab();
outside(lab.socket);
await lab.socket.connect();
say("");
lab.catalogue = await lab.ask("catalogue");
const link = fromLink(location.hash.slice(1)) ?? {};
if (typeof link.view === "string") lab.view = link.view;
if (link.looks && typeof link.looks === "object") lab.looks = link.looks;
lab.hidden = Array.isArray(link.hidden) ? link.hidden.filter((/** @type {any} */ id) => typeof id === "string") : [];

training(lab);
dataSettings(lab);
learning(lab);
network(lab);
dimensions(lab);
parameters(lab);
map(lab);
const { draw, kept } = runs(lab);
curves(lab, kept);
diagnosis(lab);
pass(lab);
examples(lab);
keep(lab);
own(lab);

const start = lab.catalogue.presets[0].experiment;
try {
  await lab.open(link.experiment ?? start);
} catch (error) {
  lab.missing = link.experiment;
  await lab.open(start);
  const why = /** @type {Error} */ (error).message;
  say(`The experiment in the link cannot be opened: ${why} The first prepared experiment is shown instead.`);
}
draw();
views(lab);
hiding(lab);
document.body.classList.add("ready");
