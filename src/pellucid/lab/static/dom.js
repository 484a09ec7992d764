// @ts-check
/** Making elements, and writing numbers. Text goes in as text nodes, never as HTML. */

const SVG = "http://www.w3.org/2000/svg";
/** What has no sign of its own: control characters, what turns the direction of writing, no characters at all. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/**
 * A text in which what cannot be seen stands as Python writes it: \n, \x1b, \u202e.
 * @param {string} text
 */
export const visible = (text) => text.replace(UNSEEN, (sign) => {
  const code = sign.codePointAt(0) ?? 0;
  const escaped = { 9: "\\t", 10: "\\n", 13: "\\r" }[code];
  const digits = (/** @type {number} */ count) => code.toString(16).padStart(count, "0");
  return escaped ?? (code < 0x100 ? `\\x${digits(2)}` : code < 0x10000 ? `\\u${digits(4)}` : `\\U${digits(8)}`);
});

/**
 * Put properties, listeners and children on an element.
 * @param {Element} element
 * @param {Record<string, any>} properties `onclick` and the like are listeners
 * @param {any[]} children
 */
function fill(element, properties, children) {
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "value" || key === "checked" || key === "selected") /** @type {any} */ (element)[key] = value;
    else element.setAttribute(key, value === true ? "" : visible(String(value)));
  }
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (typeof child === "string" ? visible(child) : child)));
  return element;
}

/**
 * @param {string} tag
 * @param {Record<string, any>} [properties]
 * @param {...any} children
 * @returns {any}
 */
export const h = (tag, properties = {}, ...children) => fill(document.createElement(tag), properties, children);

/**
 * @param {string} tag
 * @param {Record<string, any>} [properties]
 * @param {...any} children
 * @returns {any}
 */
export const s = (tag, properties = {}, ...children) =>
  fill(document.createElementNS(SVG, tag), properties, children);

/** @param {string} id @returns {any} */
export const at = (id) => document.getElementById(id);

/**
 * A select with its label.
 * @param {string} label
 * @param {[string, string][]} options value and text
 * @param {string} value
 * @param {(value: string) => void} change
 * @param {Record<string, any>} [more]
 */
export function choice(label, options, value, change, more = {}) {
  const select = h("select", { ...more, onchange: () => change(select.value) },
    options.map(([key, text]) => h("option", { value: key }, text)));
  select.value = value;
  return h("label", { class: "field" }, h("span", {}, label), select);
}

/**
 * A number with its label; what is no number is refused by the browser's own message.
 * @param {string} label
 * @param {number | string | null} value
 * @param {(value: number) => void} change
 * @param {Record<string, any>} [more]
 */
export function number(label, value, change, more = {}) {
  const input = h("input", {
    type: "number", step: "any", ...more, value: value ?? "",
    onchange: () => {
      if (input.reportValidity() && input.value !== "") change(Number(input.value));
    },
  });
  return h("label", { class: "field" }, h("span", {}, label), input);
}

/**
 * A table with its headings, in a box that is scrolled where it is wide, by keyboard too.
 * @param {string} label @param {any} caption @param {any[]} headings @param {any[]} rows
 */
export const table = (label, caption, headings, rows) =>
  h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": label }, h("table", { class: "plain" },
    h("caption", {}, caption),
    h("thead", {}, h("tr", {}, headings.map((text) => h("th", { scope: "col" }, text)))),
    h("tbody", {}, rows)));

/**
 * Replace the contents, and leave the focus on the control in the same place.
 * @param {any} box @param {any[]} children
 */
export function keepFocus(box, children) {
  const focus = [...box.querySelectorAll("select, input")].indexOf(document.activeElement);
  box.replaceChildren(...children.flat().filter(Boolean));
  if (focus >= 0) box.querySelectorAll("select, input")[focus]?.focus();
}

/**
 * A number in four digits, as the trace writes it.
 * @param {number | null | undefined} value
 */
export function shown(value) {
  if (value === null || value === undefined) return "";
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "not a number" : value > 0 ? "∞" : "−∞";
  if (value === 0) return "0";
  const [digits, power] = value.toExponential(3).split("e");
  const exponent = Number(power);
  const trim = (/** @type {string} */ text) => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);
  const sign = exponent < 0 ? "-" : "+";
  const text =
    exponent < -4 || exponent >= 4
      ? `${trim(digits)}e${sign}${String(Math.abs(exponent)).padStart(2, "0")}`
      : trim(value.toFixed(3 - exponent));
  return text.replaceAll("-", "−");
}

/** A whole number, in groups of three digits. @param {number} value */
export const count = (value) => value.toLocaleString("en");

let spoken = 0;
/**
 * Say it to a screen reader and in the status line.
 * @param {string} text
 */
export function say(text) {
  const line = at("said");
  line.textContent = visible(text);
  line.dataset.count = String((spoken += 1));
}
