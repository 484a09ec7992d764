// @ts-check
/** Numbers as small pictures: examples that are images, and weights. */

import { ink, mix, paper } from "./colours.js";

/** @typedef {import("./colours.js").Colour} Colour */

/**
 * @param {any} canvas
 * @param {number} rows
 * @param {number} columns
 * @param {(place: number) => Colour} colour of a pixel, by its place in reading order
 */
export function paintPixels(canvas, rows, columns, colour) {
  [canvas.width, canvas.height] = [columns, rows];
  const context = canvas.getContext("2d");
  const image = context.createImageData(columns, rows);
  for (let place = 0; place < rows * columns; place++) image.data.set([...colour(place), 255], 4 * place);
  context.putImageData(image, 0, 0);
}

/**
 * An example that is an image, from 0 to 1: grey, or red, green and blue.
 * @param {any} canvas
 * @param {[number, number, number]} shape rows, columns and channels
 * @param {number[]} values
 */
export function paintImage(canvas, [rows, columns, channels], values) {
  const within = (/** @type {number} */ value) => Math.max(0, Math.min(1, value));
  const [ground, full] = [paper(), ink()];
  paintPixels(canvas, rows, columns, (place) =>
    channels === 1 ? mix(ground, full, within(values[place]))
      : /** @type {Colour} */ ([0, 1, 2].map((k) => Math.round(255 * within(values[place * channels + k])))));
}
