// @ts-check
/** Points of the plane, changed by a pointer: a click adds or removes one, a drag moves one, and holding and moving draws several. */

import { say, shown } from "./dom.js";

/** @typedef {import("./lab.js").Lab} Lab */
/**
 * What is done with the points and not yet asked for: the one that is moved, and the new ones.
 * @typedef {{moved: number, to: [number, number], fresh: number[][]}} Draft
 */

const [REACH, SPACING, HOLD] = [11, 14, 300]; // pixels of the page; milliseconds until a resting finger draws

/** The y of an example: the number of its class, or its value. @param {any} data @param {number} k */
export const targetOf = ({ Y }, k) => (Y.length > 1 ? Y.findIndex((/** @type {number[]} */ row) => row[k] === 1) : Y[0][k]);

/**
 * x1, x2 and y of every example: those last asked for, so that quick changes add up before the replies.
 * @param {Lab} lab @returns {number[][]}
 */
export function pointsOf(lab) {
  const { data } = lab.state;
  return structuredClone(lab.experiment.data.points) ?? data.X[0].map((/** @type {number} */ x1, /** @type {number} */ k) => [x1, data.X[1][k], targetOf(data, k)]);
}

/** The network starts again with these points. @param {Lab} lab @param {number[][]} points */
export const replacePoints = (lab, points) => lab.change({ data: { ...lab.experiment.data, points } });

/**
 * The server is asked once, at the end of a movement; until then only `redraw` shows it.
 * @param {Lab} lab
 * @param {any} canvas that covers `data.extent`, the largest x2 on top
 * @param {() => number | "remove"} pen what a click adds, or that it removes
 * @param {() => void} redraw
 * @returns {Draft}
 */
export function pointer(lab, canvas, pen, redraw) {
  /** @type {Draft} */
  const draft = { moved: -1, to: [0, 0], fresh: [] };
  let [down, far, resting] = [false, false, 0];
  let [startX, startY] = [0, 0];

  const round = (/** @type {number} */ value) => Number(value.toPrecision(4));

  /** @param {{clientX: number, clientY: number}} event @returns {[number, number]} */
  function place({ clientX, clientY }) {
    const { left, top, width, height } = canvas.getBoundingClientRect();
    const [[low, high], [bottom, upper]] = lab.state.data.extent;
    const share = (/** @type {number} */ value) => Math.max(0, Math.min(1, value));
    return [round(low + share((clientX - left) / width) * (high - low)), round(upper - share((clientY - top) / height) * (upper - bottom))];
  }

  /** The example under the pointer, or -1. @param {{clientX: number, clientY: number}} event */
  function under({ clientX, clientY }) {
    const { left, top, width, height } = canvas.getBoundingClientRect();
    const { X, extent: [[low, high], [bottom, upper]] } = lab.state.data;
    let [best, distance] = [-1, REACH];
    for (let k = 0; k < X[0].length; k++) {
      const across = left + ((X[0][k] - low) / (high - low)) * width - clientX;
      const up = top + ((upper - X[1][k]) / (upper - bottom)) * height - clientY;
      if (Math.hypot(across, up) < distance) [best, distance] = [k, Math.hypot(across, up)];
    }
    return best;
  }

  function drop() {
    [down, far] = [false, false];
    Object.assign(draft, { moved: -1, fresh: [] });
    clearTimeout(resting);
    redraw();
  }

  /** @param {number} k */
  function remove(k) {
    const points = pointsOf(lab);
    if (k < 0) return;
    if (points.length === 1) say("The last example stays: at least one is needed to learn from.");
    else replacePoints(lab, points.filter((_, other) => other !== k));
  }

  canvas.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => {
    if (!lab.flat || event.button || !event.isPrimary) return;
    [startX, startY] = [event.clientX, event.clientY];
    down = true;
    const y = pen();
    if (y === "remove") return;
    canvas.setPointerCapture(event.pointerId);
    Object.assign(draft, { moved: under(event), to: place(event) });
    if (draft.moved < 0) draft.fresh = [[...place(event), y]];
    // A finger that goes on at once scrolls the page; one that rests first draws.
    if (event.pointerType === "touch" && draft.moved < 0) resting = window.setTimeout(() => (resting = 0), HOLD);
    redraw();
  });

  canvas.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => {
    if (!lab.flat || !event.isPrimary) return;
    const y = pen();
    if (!down) canvas.style.cursor = under(event) < 0 ? (y === "remove" ? "default" : "crosshair") : y === "remove" ? "pointer" : "grab";
    if (!down || y === "remove") return;
    far ||= Math.hypot(event.clientX - startX, event.clientY - startY) > 3;
    if (draft.moved >= 0) draft.to = place(event);
    else if (Math.hypot(event.clientX - startX, event.clientY - startY) > SPACING) {
      [startX, startY] = [event.clientX, event.clientY];
      draft.fresh.push([...place(event), y]);
    }
    redraw();
  });

  canvas.addEventListener("pointerup", (/** @type {PointerEvent} */ event) => {
    if (!down) return;
    const { moved, to, fresh } = draft;
    const points = pointsOf(lab);
    const dragged = far;
    drop();
    if (pen() === "remove") return remove(under(event));
    if (fresh.length) replacePoints(lab, [...points, ...fresh]);
    else if (points[moved] && dragged) replacePoints(lab, points.with(moved, [...to, points[moved][2]]));
    else if (points[moved]) say(`Example ${moved} at ${shown(points[moved][0])}, ${shown(points[moved][1])}. Drag it to move it.`);
  });
  canvas.addEventListener("pointercancel", drop);
  document.addEventListener("keydown", (event) => event.key === "Escape" && down && drop());

  // On a touch screen a finger on a point, or one that has rested, moves no page.
  canvas.addEventListener("touchstart", (/** @type {TouchEvent} */ event) => {
    if (lab.flat && pen() !== "remove" && under(event.touches[0]) >= 0) event.preventDefault();
  }, { passive: false });
  canvas.addEventListener("touchmove", (/** @type {TouchEvent} */ event) => {
    if (draft.fresh.length && !resting) event.preventDefault();
  }, { passive: false });
  return draft;
}
