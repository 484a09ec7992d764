// @ts-check
/** The colours of numbers: blue is positive, rust is negative, as on the whole page. */

const dark = window.matchMedia("(prefers-color-scheme: dark)");

/** @typedef {[number, number, number]} Colour */

/** Classes 0, 1, 2, ...; two classes are the two ends of the map. @returns {Colour[]} */
export const classes = () =>
  dark.matches
    ? [[240, 148, 84], [104, 170, 240], [120, 200, 140], [214, 150, 220], [220, 200, 100], [130, 210, 210],
      [250, 130, 172], [190, 150, 120], [150, 158, 170], [238, 238, 238]]
    : [[190, 84, 24], [36, 104, 176], [38, 128, 74], [132, 66, 150], [140, 112, 10], [20, 120, 130],
      [204, 60, 120], [112, 74, 52], [112, 118, 128], [30, 34, 40]];

/** @returns {Colour} what the map has where the network is undecided */
export const paper = () => (dark.matches ? [27, 31, 38] : [252, 252, 251]);

/** @returns {Colour} what stands out most from it */
export const ink = () => (dark.matches ? [230, 233, 237] : [28, 33, 40]);

/** @param {Colour} from @param {Colour} to @param {number} share @returns {Colour} */
export const mix = (from, to, share) =>
  /** @type {Colour} */ (from.map((value, k) => Math.round(value + (to[k] - value) * share)));

/** @param {Colour} colour */
export const css = ([r, g, b]) => `rgb(${r} ${g} ${b})`;

/**
 * @param {number} share from 0 (rust) over 0.5 (paper) to 1 (blue)
 * @param {number} [strength] how far the ends go
 * @returns {Colour}
 */
export function diverging(share, strength = 0.5) {
  const [low, high] = classes();
  const way = Math.max(-1, Math.min(1, 2 * share - 1));
  return mix(paper(), way < 0 ? low : high, Math.abs(way) * strength);
}

/** @param {() => void} redraw */
export const onTheme = (redraw) => dark.addEventListener("change", redraw);
