// @ts-check
/** Round numbers along an axis. */

/** About `count` round numbers between two ends. @param {number} low @param {number} high @param {number} [count] @returns {number[]} */
export function ticks(low, high, count = 4) {
  const unit = 10 ** Math.floor(Math.log10((high - low) / count));
  const step = [1, 2, 5, 10].map((each) => each * unit).find((each) => (high - low) / each <= count) ?? 10 * unit;
  const found = [];
  for (let k = Math.ceil(low / step - 1e-6); k * step <= high + 1e-6 * step; k++) found.push(Number((k * step).toPrecision(6)));
  return found;
}
