// @ts-check
/** The rows of W[1] as pictures, where the inputs are an image: what each unit of layer 1 looks for. */

import { css, diverging } from "../colours.js";
import { choice, h, shown } from "../dom.js";
import { write } from "../live.js";
import { paintPixels } from "../pictures.js";

const MOST = 64;
const CHANNELS = ["red", "green", "blue"];

/** @param {number[]} row */
const largestOf = (row) => row.reduce((largest, w) => (Math.abs(w) > Math.abs(largest) ? w : largest), 0);

/** @type {import("../views.js").View} */
export const weights = {
  name: "weights",
  title: "First-layer weights",
  why: "Each unit of layer 1 has a weight for every pixel. Blue: a larger value of the pixel raises z; rust: it lowers z.",
  suits: (lab) => (lab.state.data.image ? "" : "The inputs of this data set are not an image, so their weights make no picture. Try the handwritten digits."),
  make: (lab, box) => {
    let alike = "all";
    const legend = h("p", { class: "scale" });
    const note = h("p", { class: "note" });
    const list = h("ul", { class: "pictures" });
    /** @type {{canvases: any[], name: any, told: any}[]} */
    let units = [];
    box.append(h("div", { class: "row" }, choice("Colours", [["all", "one scale for all units"], ["each", "each unit by its own largest weight"]], alike, (value) => {
      alike = value;
      draw();
    })), legend, list, note);

    /** @param {number} count @param {number} channels */
    function makeUnits(count, channels) {
      units = Array.from({ length: count }, () => ({
        canvases: Array.from({ length: channels }, () => h("canvas", { class: "pixels", role: "img" })), name: h("strong"), told: h("span"),
      }));
      list.classList.toggle("coloured", channels > 1);
      list.replaceChildren(...units.map(({ canvases, name, told }) => h("li", {}, h("div", { class: "channels" }, canvases), name, told)));
    }

    function draw() {
      const { n, data, parameters: { W1 } } = lab.state;
      const [rows, columns, channels] = data.image;
      const count = Math.min(MOST, W1.length);
      if (units.length !== count || units[0].canvases.length !== channels) makeUnits(count, channels);
      const strongest = Math.abs(largestOf(W1.map(largestOf))) || 1;
      units.forEach(({ canvases, name, told }, k) => {
        const largest = largestOf(W1[k]);
        const place = W1[k].indexOf(largest);
        const pixel = Math.floor(place / channels);
        const end = alike === "all" ? strongest : Math.abs(largest) || 1;
        write(name, n.length === 2 ? `unit ${k}: ${data.outputs[k]}` : `unit ${k}`);
        told.textContent = shown(largest);
        canvases.forEach((canvas, channel) => {
          paintPixels(canvas, rows, columns, (at) => diverging(0.5 + W1[k][at * channels + channel] / end / 2, 0.95));
          canvas.setAttribute("aria-label", `Weights of unit ${k}${channels > 1 ? ` for ${CHANNELS[channel]}` : ""}: the largest is ${shown(largest)}, in row ${Math.floor(pixel / columns)}, column ${pixel % columns}${channels > 1 ? `, ${CHANNELS[place % channels]}` : ""}`);
        });
      });
      const [low, high] = [0, 1].map((share) => css(diverging(share, 0.95)));
      const bar = h("i");
      bar.style.background = `linear-gradient(to right, ${low}, ${css(diverging(0.5))}, ${high})`;
      const ends = alike === "all" ? shown(strongest) : "the largest of each unit";
      legend.replaceChildren(h("span", {}, alike === "all" ? shown(-strongest) : "its negative"), bar, h("span", {}, ends));
      note.textContent = [
        "The number is the largest weight of the unit.",
        channels > 1 && "One picture each for red, green and blue.",
        W1.length > count && `The first ${count} of ${W1.length} units are shown.`,
      ].filter(Boolean).join(" ");
    }
    return draw;
  },
};
