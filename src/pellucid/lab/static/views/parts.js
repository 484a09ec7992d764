// @ts-check
/** The parts of the examples: those that are learned from, and those held out. */

/** @type {Record<string, string>} */
export const PARTS = { training: "Training", validation: "Validation" };

/** The numbers of the examples of each part that has any. @param {any} data @returns {Record<string, number[]>} */
export function parts({ X, training }) {
  const learned = new Set(training);
  const held = X[0].map((/** @type {any} */ _, /** @type {number} */ k) => k).filter((/** @type {number} */ k) => !learned.has(k));
  return held.length ? { training, validation: held } : { training };
}
