// Parallel coordinates on a canvas: one line a result, one axis a parameter, the twist last, with its target bands.

import { el } from "./dom.js";
import { channelsOf, ink, twistColour, LARGEST_TWIST_DEG } from "./colours.js";
import { label, short } from "./format.js";

const HEIGHT = 300, TOP = 34, BOTTOM = 22, SIDE = 58;

// More lines than this are written as pixels: strokes of a canvas would take seconds.
const MANY = 1500;

export class Parallel {
  constructor(chosen) {
    this.chosen = chosen;
    this.kept = new Map();
    this.admitted = [];
    this.canvas = el("canvas", { role: "img", tabindex: "0", "aria-label": "Parallel coordinates" });
    this.node = el("div", { class: "chart" }, this.canvas);
    new ResizeObserver(() => this.draw()).observe(this.node);
    this.canvas.addEventListener("pointerdown", (event) => this.press(event));
    this.canvas.addEventListener("pointerup", (event) => this.release(event));
  }

  set(store, rows) {
    this.store = store;
    this.rows = rows;
    this.axes = [
      ...store.parameters.map((name) => ({ name: `parameter.${name}`, words: label(name), range: store.summary.space[name] })),
      { name: "twist_deg", words: "twist (°)", range: [0, LARGEST_TWIST_DEG] },
    ];
    this.draw();
  }

  draw() {
    const width = this.node.clientWidth;
    if (!width || !this.axes) return;
    const scale = window.devicePixelRatio || 1, pen = this.canvas.getContext("2d");
    this.canvas.width = width * scale;
    this.canvas.height = HEIGHT * scale;
    this.canvas.style.height = `${HEIGHT}px`;
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    this.axes.forEach((axis, i) => { axis.x = SIDE + (i * (width - 2 * SIDE)) / (this.axes.length - 1); });
    const shown = this.rows.filter((row) => this.isKept(row));
    if (shown.length > MANY) this.pixels(pen, shown, scale);
    else this.lines(pen, shown);
    this.pending(pen);
    this.frame(pen);
    this.canvas.setAttribute("aria-label", `Parallel coordinates of ${shown.length} of ${this.store.total} results`);
  }

  toY(axis, value) { return HEIGHT - BOTTOM - ((value - axis.range[0]) / (axis.range[1] - axis.range[0])) * (HEIGHT - TOP - BOTTOM); }

  fromY(axis, y) { return axis.range[0] + ((HEIGHT - BOTTOM - y) / (HEIGHT - TOP - BOTTOM)) * (axis.range[1] - axis.range[0]); }

  isKept(row) {
    for (const [name, [low, high]] of this.kept) {
      const value = this.store.columns[name]?.[row];
      if (value === null || value === undefined || value < low || value > high) return false;
    }
    return true;
  }

  // Lines of one colour in one stroke; thinner where there are many.
  lines(pen, rows) {
    const groups = new Map(), without = ink("grey");
    for (const row of rows) {
      const colour = twistColour(this.store.columns.twist_deg[row], without);
      if (!groups.has(colour)) groups.set(colour, []);
      groups.get(colour).push(row);
    }
    pen.globalAlpha = Math.max(0.12, Math.min(0.9, 120 / rows.length));
    pen.lineWidth = rows.length > 1000 ? 0.7 : 1.3;
    const columns = this.axes.map((axis) => this.store.columns[axis.name]);
    for (const [colour, members] of groups) {
      pen.strokeStyle = colour;
      pen.beginPath();
      for (const row of members) this.trace(pen, columns.map((column) => column?.[row]));
      pen.stroke();
    }
    pen.globalAlpha = 1;
  }

  // Every line in one pixel a column, the denser the less one sees through.
  pixels(pen, rows, scale) {
    const { width, height } = this.canvas, image = pen.createImageData(width, height), data = image.data;
    const columns = this.axes.map((axis) => this.store.columns[axis.name]), twists = this.store.columns.twist_deg;
    const known = new Map(), without = ink("grey");
    for (const row of rows) {
      const colour = twistColour(twists[row], without);
      if (!known.has(colour)) known.set(colour, channelsOf(colour));
      const [red, green, blue] = known.get(colour);
      for (let i = 1; i < this.axes.length; i += 1) {
        const from = columns[i - 1]?.[row], to = columns[i]?.[row];
        if (from === null || to === null || from === undefined || to === undefined) continue;
        const x0 = Math.round(this.axes[i - 1].x * scale), x1 = Math.round(this.axes[i].x * scale);
        let y = this.toY(this.axes[i - 1], from) * scale;
        const slope = (this.toY(this.axes[i], to) * scale - y) / (x1 - x0);
        for (let x = x0; x < x1; x += 1, y += slope) {
          const at = 4 * ((y | 0) * width + x);
          data[at] = red;
          data[at + 1] = green;
          data[at + 2] = blue;
          data[at + 3] = Math.min(255, data[at + 3] + 90);
        }
      }
    }
    pen.putImageData(image, 0, 0);
  }

  trace(pen, values) {
    let begun = false;
    values.forEach((value, i) => {
      if (value === null || value === undefined) { begun = false; return; }
      const axis = this.axes[i], y = this.toY(axis, value);
      if (begun) pen.lineTo(axis.x, y);
      else pen.moveTo(axis.x, y);
      begun = true;
    });
  }

  pending(pen) {
    pen.strokeStyle = ink("ink");
    pen.setLineDash([4, 4]);
    pen.lineWidth = 1;
    pen.beginPath();
    for (const candidate of this.store.candidates) {
      this.trace(pen, this.axes.map((axis) => candidate.parameters[axis.name.replace("parameter.", "")]));
    }
    pen.stroke();
    pen.setLineDash([]);
  }

  frame(pen) {
    pen.font = "12px system-ui, sans-serif";
    pen.textAlign = "center";
    for (const axis of this.axes) {
      pen.strokeStyle = ink("quiet");
      pen.lineWidth = 1.5;
      pen.beginPath();
      pen.moveTo(axis.x, TOP);
      pen.lineTo(axis.x, HEIGHT - BOTTOM);
      pen.stroke();
      pen.fillStyle = ink("ink");
      pen.fillText(short(axis.range[1]), axis.x, TOP - 5);
      pen.fillText(short(axis.range[0]), axis.x, HEIGHT - BOTTOM + 14);
      this.title(pen, axis);
      this.bands(pen, axis);
    }
  }

  title(pen, axis) {
    const room = (this.node.clientWidth - 2 * SIDE) / (this.axes.length - 1) - 6;
    let words = axis.words;
    while (words.length > 4 && pen.measureText(words).width > Math.max(60, room)) words = `${words.slice(0, -2)}…`;
    pen.fillText(words, axis.x, 13);
  }

  bands(pen, axis) {
    const kept = this.kept.get(axis.name);
    pen.fillStyle = ink("band");
    if (kept) pen.fillRect(axis.x - 8, this.toY(axis, kept[1]), 16, this.toY(axis, kept[0]) - this.toY(axis, kept[1]));
    if (axis.name !== "twist_deg") return;
    pen.fillStyle = ink("quiet");
    for (const { twist_deg: twist } of this.admitted) pen.fillRect(axis.x - 9, this.toY(axis, twist) - 0.5, 6, 1);
    pen.fillStyle = ink("red");
    for (const target of this.store.summary.targets) {
      const high = this.toY(axis, target.twist_deg + target.tolerance_deg), low = this.toY(axis, target.twist_deg - target.tolerance_deg);
      pen.fillRect(axis.x + 3, high, 6, Math.max(2, low - high));
    }
  }

  press(event) {
    const axis = this.axes?.find((one) => Math.abs(one.x - event.offsetX) < 16);
    this.pressed = axis ? { axis, y: event.offsetY } : null;
    if (axis) this.canvas.setPointerCapture(event.pointerId);
  }

  release(event) {
    if (!this.pressed) return;
    const { axis, y } = this.pressed;
    this.pressed = null;
    if (Math.abs(event.offsetY - y) < 4) this.kept.delete(axis.name);
    else this.kept.set(axis.name, [this.fromY(axis, Math.max(y, event.offsetY)), this.fromY(axis, Math.min(y, event.offsetY))]);
    this.draw();
  }
}
