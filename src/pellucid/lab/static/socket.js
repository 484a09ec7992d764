// @ts-check
/** The one WebSocket: questions with their replies, events, and binary frames. */

/** @typedef {{header: any, kind: number, sequence: number, arrays: Record<string, {shape: number[], values: Float32Array}>}} Frame */

/**
 * Take a binary frame apart: kind, sequence, header length, header, float32 arrays.
 * @param {ArrayBuffer} buffer
 * @returns {Frame}
 */
export function unpack(buffer) {
  const view = new DataView(buffer);
  const [kind, sequence, length] = [0, 4, 8].map((offset) => view.getUint32(offset, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 12, length)));
  /** @type {Frame["arrays"]} */
  const arrays = {};
  let offset = 12 + length;
  for (const { name, shape } of header.arrays) {
    const count = shape.reduce((/** @type {number} */ a, /** @type {number} */ b) => a * b, 1);
    arrays[name] = { shape, values: new Float32Array(buffer, offset, count) };
    offset += 4 * count;
  }
  return { kind, sequence, header, arrays };
}

/** What the key is kept under: pages of other ports see nothing of it, as they would of a cookie. */
const NAME = "pellucid-key";
/** Milliseconds until a socket that does not open is spoken of. */
const LATE = 6000;

/**
 * Events: "welcome", "late" (not open as yet), "closed" with {code, reason, welcome}, "frame", and
 * what the server tells by name.
 */
export class Socket extends EventTarget {
  constructor() {
    super();
    this.next = 1;
    this.key = "";
    /** @type {Map<number, {resolve: (value: any) => void, reject: (error: Error) => void}>} */
    this.waiting = new Map();
    /** @type {Map<number, (frame: Frame) => void>} what waits for a binary frame, by its sequence */
    this.framed = new Map();
  }

  /** Resolved when the server lets the page in. @returns {Promise<void>} */
  async connect() {
    const late = setTimeout(() => this.dispatchEvent(new Event("late")), LATE);
    const keys = await known();
    this.socket = new WebSocket(`ws://${location.host}/socket`, ["pellucid", ...keys]);
    this.socket.binaryType = "arraybuffer";
    this.socket.onmessage = (message) => this.received(message.data);
    this.socket.onclose = ({ code, reason }) => {
      clearTimeout(late);
      for (const { reject } of this.waiting.values()) reject(new Error("The connection to Pellucid was closed."));
      this.waiting.clear();
      this.dispatchEvent(new CustomEvent("closed", { detail: { code, reason, welcome: this.key !== "" } }));
    };
    return new Promise((resolve) => this.addEventListener("welcome", (event) => {
      clearTimeout(late);
      this.key = /** @type {CustomEvent} */ (event).detail.key;
      keep(this.key);
      history.replaceState(null, "", location.pathname + location.hash); // the key leaves the address
      resolve();
    }, { once: true }));
  }

  /**
   * The reply; where a binary frame belongs to it, that frame.
   * @param {string} what
   * @param {Record<string, any>} [more]
   * @returns {Promise<any>}
   */
  ask(what, more = {}) {
    const id = this.next++;
    if (this.socket?.readyState !== WebSocket.OPEN) return Promise.reject(new Error("Pellucid is not connected."));
    this.socket.send(JSON.stringify({ id, do: what, ...more }));
    return new Promise((resolve, reject) => this.waiting.set(id, { resolve, reject }));
  }

  /** @param {number} sequence */
  acknowledge(sequence) {
    this.ask("ack", { sequence }).catch(() => undefined);
  }

  /** @param {string | ArrayBuffer} data */
  received(data) {
    if (typeof data !== "string") {
      const frame = unpack(data);
      if (frame.kind === 1) this.dispatchEvent(new CustomEvent("frame", { detail: frame }));
      else this.framed.get(frame.sequence)?.(frame);
      this.framed.delete(frame.sequence);
      return;
    }
    const message = JSON.parse(data);
    if ("reply" in message) this.answer(message.reply, message);
    else this.dispatchEvent(new CustomEvent(message.event, { detail: message }));
  }

  /** @param {number} id @param {any} message */
  answer(id, message) {
    const waiting = this.waiting.get(id);
    this.waiting.delete(id);
    if (message.error) waiting?.reject(new Error(message.error));
    else if ("sequence" in message) this.framed.set(message.sequence, (frame) => waiting?.resolve(frame));
    else waiting?.resolve(message);
  }
}

// The key ------------------------------------------------------------------------------------------

const others = new BroadcastChannel(NAME);

/** What may open the lab: from the address, from this tab's last visit, or from another of its tabs. */
async function known() {
  const query = new URLSearchParams(location.search);
  const [token, ticket] = [query.get("token") ?? "", query.get("ticket") ?? ""];
  const here = kept() || (token || parent !== window ? "" : await lent(ticket ? 200 : 1000));
  return [...new Set([token, ticket, here])].filter((key) => /^[\w-]{1,99}$/.test(key));
}

/** The key that another tab of this lab has; "" where none answers in time. @param {number} wait */
const lent = (wait) => new Promise((resolve) => {
  others.onmessage = ({ data }) => data.key && resolve(data.key);
  others.postMessage({});
  setTimeout(() => resolve(""), wait);
});

/** A browser may forbid a page to keep anything; then a reload needs the address again. */
function kept() {
  try {
    return sessionStorage.getItem(NAME) ?? "";
  } catch {
    return "";
  }
}

/** @param {string} key */
function keep(key) {
  others.onmessage = ({ data }) => data.key || others.postMessage({ key });
  try {
    sessionStorage.setItem(NAME, key);
  } catch {
    // it is known until this page goes
  }
}
