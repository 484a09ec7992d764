// @ts-check
/** A field of numbers over two axes: bands of colour, contour lines. */

import { classes, css, mix, paper } from "../colours.js";

const BANDS = 12;
const PIXELS = 240;

/** @typedef {{values: Float32Array, size: number}} Field a square, its first row at the bottom */

/**
 * The numbers between the bands: near the lowest they are close, as the lines around a hollow are.
 * @param {Field} field @returns {number[]}
 */
export function levels({ values }) {
  const finite = values.filter(Number.isFinite);
  const [low, high] = finite.reduce(([a, b], value) => [Math.min(a, value), Math.max(b, value)], [Infinity, -Infinity]);
  return Array.from({ length: BANDS - 1 }, (_, k) => low + (high - low) * ((k + 1) / BANDS) ** 2);
}

/** The colour of each band, the lowest first. @returns {import("../colours.js").Colour[]} */
export const colours = () => Array.from({ length: BANDS }, (_, k) => mix(paper(), classes()[1], 0.04 + (0.6 * k) / (BANDS - 1)));

/**
 * Bands, between the places straight.
 * @param {HTMLCanvasElement} canvas @param {Field} field @param {number[]} edges
 */
export function bands(canvas, { values, size }, edges) {
  canvas.width = canvas.height = PIXELS;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const image = context.createImageData(PIXELS, PIXELS);
  const hues = colours();
  for (let y = 0; y < PIXELS; y++) {
    const up = ((PIXELS - 1 - y) / (PIXELS - 1)) * (size - 1);
    const row = Math.min(size - 2, Math.floor(up));
    for (let x = 0; x < PIXELS; x++) {
      const along = (x / (PIXELS - 1)) * (size - 1);
      const column = Math.min(size - 2, Math.floor(along));
      const [u, v, first] = [along - column, up - row, row * size + column];
      const value = (1 - v) * ((1 - u) * values[first] + u * values[first + 1])
        + v * ((1 - u) * values[first + size] + u * values[first + size + 1]);
      let band = 0;
      while (band < edges.length && value >= edges[band]) band += 1;
      if (Number.isFinite(value)) image.data.set([...hues[band], 255], 4 * (y * PIXELS + x));
    }
  }
  context.putImageData(image, 0, 0);
}

/**
 * Where the field has this value: cell by cell, a piece between two of its edges.
 * @param {Field} field @param {number} level
 * @param {(along: number, up: number) => string} at a place, from 0 to 1 each way, in the drawing
 */
export function contour({ values, size }, level, at) {
  let text = "";
  for (let row = 0; row < size - 1; row++) {
    for (let column = 0; column < size - 1; column++) {
      const corners = [[column, row], [column + 1, row], [column + 1, row + 1], [column, row + 1]];
      const heights = corners.map(([c, r]) => values[r * size + c] - level);
      if (!heights.every(Number.isFinite)) continue;
      const cuts = [];
      for (let k = 0; k < 4; k++) {
        const [a, b, next] = [heights[k], heights[(k + 1) % 4], corners[(k + 1) % 4]];
        if (a < 0 === b < 0) continue;
        const share = a / (a - b);
        const [c, r] = corners[k].map((from, axis) => from + share * (next[axis] - from));
        cuts.push(at(c / (size - 1), r / (size - 1)));
      }
      for (let k = 0; k + 1 < cuts.length; k += 2) text += `M${cuts[k]}L${cuts[k + 1]}`;
    }
  }
  return text;
}

/** @param {import("../colours.js").Colour[]} hues */
export const asText = (hues) => hues.map(css);
