// @ts-check
/** Formulas as MathML: those that the server wrote, and those of one cell. */

const MATH = "http://www.w3.org/1998/Math/MathML";
const TOKEN = /(?<sum>sum_)(?<over>[a-z])|(?<letter>d?[A-Za-z]\*?'?|sign W|1\/m)(?:\[(?<layer>\d+)\])?\[(?<place>[^\],]+, [^\]]+)\]|(?<number>-?\d+(?:\.\d+)?)(?:e(?<power>[-+]?\d+))?|(?<word>[A-Za-z_]{2,})|(?<one>[A-Za-z])|(?<symbol>\S)/g;

/** @param {string} tag @param {...(Node | string)} children */
function m(tag, ...children) {
  const element = document.createElementNS(MATH, tag);
  element.append(...children);
  return element;
}

/**
 * What the server wrote, as an element.
 * @param {string} inside
 */
export function written(inside) {
  const text = `<math xmlns="${MATH}" display="block">${inside}</math>`;
  return document.importNode(new DOMParser().parseFromString(text, "application/xml").documentElement, true);
}

/**
 * The formula of a cell: ``Z[1][0, 3] = sum_j W[1][0, j] X[j, 3] + b[1][0, 0]``, or its numbers.
 * @param {string} text
 */
export function ofCell(text) {
  const math = m("math");
  math.setAttribute("display", "block");
  let before = "";
  for (const { 0: whole, groups } of text.matchAll(TOKEN)) {
    const node = token(/** @type {Record<string, string>} */ (groups));
    const bracketed = groups?.number?.startsWith("-") && /^[-+*]$/.test(before);
    math.append(...(bracketed ? [m("mo", "("), node, m("mo", ")")] : [node]));
    before = whole;
  }
  return math;
}

/** @param {Record<string, string | undefined>} found @returns {Node} */
function token({ sum, over, letter, layer, place, number, power, word, one, symbol }) {
  if (sum && over) return m("munder", m("mo", "∑"), m("mi", over));
  if (letter && place) {
    const below = m("mrow", ...place.split(", ").flatMap((part, k) => [...(k ? [m("mo", ",")] : []), m(/\d/.test(part) ? "mn" : "mi", part)]));
    return layer ? m("msubsup", m("mi", letter), below, m("mrow", m("mo", "["), m("mn", layer), m("mo", "]"))) : m("msub", m("mi", letter === "L" ? "ℒ" : letter), below);
  }
  if (number) {
    const digits = m("mn", number.replace("-", "−"));
    if (!power) return digits;
    return m("mrow", digits, m("mo", "·"), m("msup", m("mn", "10"), m("mn", String(Number(power)).replace("-", "−"))));
  }
  if (word) return m("mtext", ` ${word} `);
  return one ? m("mi", one) : m("mo", { "*": "·", "-": "−", "'": "′" }[symbol ?? ""] ?? symbol ?? "");
}
