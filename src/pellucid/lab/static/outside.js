// @ts-check
/** When the page is not let in, or its connection is lost: why, and what to do. */

import { at, h } from "./dom.js";

const OPEN = ["Open the address that ", h("kbd", {}, "pellucid lab"), " printed, with its token. In a notebook, run the cell again; in Python, open ", h("kbd", {}, "page.address"), "."];
const START = ["Start ", h("kbd", {}, "pellucid lab"), " again and open the address that it prints."];
const TUNNEL = ["If it runs on another computer, this port must lead there: ", h("kbd", {}, `ssh -L ${location.port}:127.0.0.1:${location.port} that-computer`)];
const BLOCKED = "This page is here, but its connection (a WebSocket) does not open. A proxy or a browser extension may be blocking it.";
/** Why a socket is closed, in the numbers of RFC 6455. */
const [NOT_UNDERSTOOD, NOT_ALLOWED, ENDED, TOO_MANY] = [1007, 1008, 1012, 1013];

/** @param {import("./socket.js").Socket} socket */
export function outside(socket) {
  const box = at("outside");

  /** @param {string} title @param {any[]} lines @param {string} [button] */
  function show(title, lines, button) {
    box.replaceChildren(
      h("h2", {}, title), ...lines.map((line) => h("p", {}, line)),
      button ? h("button", { class: "primary", onclick: again }, button) : "");
    box.hidden = false;
  }

  const gone = () => show("Pellucid does not answer", [`Nothing answers at ${location.host}.`, START, TUNNEL], "Try again");

  /** Only where there is something to load: else this page, and what it shows, would be lost. */
  const again = async () => (await answers()) ? location.reload() : gone();

  socket.addEventListener("welcome", () => { box.hidden = true; });
  socket.addEventListener("late", () => show("The lab does not open", [BLOCKED, "If the computer is only busy, the lab will open by itself.", TUNNEL], "Try again"));
  socket.addEventListener("closed", async (event) => {
    const { code, reason, welcome } = /** @type {CustomEvent} */ (event).detail;
    if (code === NOT_ALLOWED) show("This address does not open the lab", [reason, OPEN]);
    else if (code === TOO_MANY) show("The lab does not open", [reason, "Close one of them first."], "Try again");
    else if (code === NOT_UNDERSTOOD) show("The connection was closed", [`Pellucid did not understand this page: ${reason}`], "Connect again");
    else if (code === ENDED) show("Pellucid has ended", [START]);
    else if (!await answers()) gone();
    else if (welcome) show("The connection is lost", ["The settings are kept; training starts over."], "Connect again");
    else show("The lab does not open", [BLOCKED, TUNNEL], "Try again");
  });
}

/** Whether a server is there. */
const answers = () => fetch("/static/icon.svg").then((reply) => reply.ok, () => false);
