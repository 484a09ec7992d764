// @ts-check
/** A matrix as a table; of a large one, the part around the cell that matters. */

import { h, shown } from "./dom.js";

const [ROWS, COLUMNS] = [8, 8];

/**
 * @param {string} name as the server calls it: "W[1]"
 * @param {number[][]} values
 * @param {{transposed?: boolean, around?: [number, number], chosen?: [number, number] | null,
 *   sources?: Set<string>, pick?: (row: number, column: number) => void, changed?: number[][], title?: string}} [how]
 *   cells are named by their place in the array itself, also where its transpose is shown
 */
export function matrix(name, values, how = {}) {
  const { transposed = false, around = [0, 0], chosen = null, sources, pick, changed, title } = how;
  const [height, width] = transposed ? [values[0].length, values.length] : [values.length, values[0].length];
  const [nearRow, nearColumn] = transposed ? [around[1], around[0]] : around;
  const top = Math.floor(nearRow / ROWS) * ROWS;
  const left = Math.floor(nearColumn / COLUMNS) * COLUMNS;
  const rows = range(top, Math.min(height, top + ROWS));
  const columns = range(left, Math.min(width, left + COLUMNS));
  const part = height > ROWS || width > COLUMNS ? `, rows ${top} to ${top + rows.length - 1}, columns ${left} to ${left + columns.length - 1} of` : "";

  /** @param {number} i @param {number} j */
  function cell(i, j) {
    const [row, column] = transposed ? [j, i] : [i, j];
    const value = values[row][column];
    const here = chosen !== null && chosen[0] === row && chosen[1] === column;
    const kind = [here && "chosen", sources?.has(`${name},${row},${column}`) && "source", changed && changed[row][column] !== value && "changed"].filter(Boolean).join(" ");
    const marked = kind.includes("source") ? h("mark", {}, shown(value)) : shown(value);
    return h("td", { class: kind, "data-cell": `${name},${row},${column}` },
      pick ? h("button", { tabindex: here ? 0 : -1, "aria-pressed": String(here), "aria-label": `${title ?? name}, row ${row}, column ${column}: ${shown(value)}`, onclick: () => pick(row, column) }, shown(value)) : marked);
  }

  const reached = pick ? {} : { tabindex: 0, role: "group", "aria-label": `${title ?? name}${transposed ? ", transposed" : ""}` };
  return h("div", { class: "scroll", ...reached }, h("table", { class: `matrix${pick ? " result" : ""}` },
    h("caption", {}, h("strong", {}, title ?? name, transposed && h("sup", {}, "T")), h("span", {}, `${part} ${height} × ${width}`)),
    h("thead", {}, h("tr", {}, h("td"), columns.map((j) => h("th", { scope: "col" }, String(j))))),
    h("tbody", {}, rows.map((i) => h("tr", {}, h("th", { scope: "row" }, String(i)), columns.map((j) => cell(i, j)))))));
}

/** @param {number} from @param {number} to */
const range = (from, to) => Array.from({ length: to - from }, (_, k) => from + k);
