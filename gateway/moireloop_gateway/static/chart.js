// One chart on a canvas: bands, bars, lines and points with axes, a tip at the pointer, and arrow keys for the same.
// Ten thousand points take some milliseconds, which SVG would take a second for.

import { el } from "./dom.js";
import { ink } from "./colours.js";
import { short } from "./format.js";

const MARGIN = { left: 54, right: 12, top: 8, bottom: 38 };

const NEAR = 24;

// More points than this are drawn as squares, which take a tenth of the time of discs.
const MANY = 1500;

export class Chart {
  // options: {label, x, y, height, left, equal, chosen(id)}; x and y are the axes' titles, left is room for words.
  constructor(options) {
    this.options = options;
    this.canvas = el("canvas", { role: "img", tabindex: "0", "aria-label": options.label });
    this.tip = el("div", { class: "tip", hidden: true });
    this.spoken = el("div", { class: "skip", "aria-live": "polite" });
    this.node = el("div", { class: "chart" }, this.canvas, this.tip, this.spoken);
    this.data = { points: [], lines: [], bands: [], bars: [], paths: [] };
    this.at = -1;
    new ResizeObserver(() => this.draw()).observe(this.node);
    this.canvas.addEventListener("pointermove", (event) => this.point(this.nearest(event.offsetX, event.offsetY)));
    this.canvas.addEventListener("pointerleave", () => this.point(-1));
    this.canvas.addEventListener("click", () => this.choose());
    this.canvas.addEventListener("keydown", (event) => this.key(event));
  }

  // data: {points: [{x, y, colour, shape, size, words, id}], lines: [{x, y, colour, width, dash, step}],
  //        bands: [{low, high, colour, along: "x"|"y"}], bars: [{x0, x1, y0, y1, colour, words, id}],
  //        paths: [{points: [[x, y]...], stroke, fill, dash, width}], xRange, yRange, xTicks, yTicks, said}
  set(data) {
    this.data = { points: [], lines: [], bands: [], bars: [], paths: [], ...data };
    this.canvas.setAttribute("aria-label", data.said ? `${this.options.label}. ${data.said}` : this.options.label);
    this.draw();
  }

  size() {
    const width = this.node.clientWidth, height = this.options.height ?? 260;
    return { width, height: this.options.equal ? Math.min(width, height) : height };
  }

  draw() {
    const { width, height } = this.size();
    if (!width) return;
    const scale = window.devicePixelRatio || 1;
    this.canvas.width = width * scale;
    this.canvas.height = height * scale;
    this.canvas.style.height = `${height}px`;
    const pen = this.canvas.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.font = "12px system-ui, sans-serif";
    this.box = { left: this.options.left ?? MARGIN.left, top: MARGIN.top, right: width - MARGIN.right, bottom: height - MARGIN.bottom };
    this.ranges();
    this.axes(pen);
    pen.save();
    pen.beginPath();
    pen.rect(this.box.left, this.box.top, this.box.right - this.box.left, this.box.bottom - this.box.top);
    pen.clip();
    this.data.bands.forEach((band) => this.band(pen, band));
    this.data.bars.forEach((bar) => this.bar(pen, bar));
    this.data.paths.forEach((path) => this.path(pen, path));
    this.data.lines.forEach((line) => this.line(pen, line));
    this.marks(pen);
    pen.restore();
  }

  ranges() {
    const xs = [], ys = [];
    for (const point of this.data.points) { xs.push(point.x); ys.push(point.y); }
    for (const line of this.data.lines) { line.x.forEach((v) => xs.push(v)); line.y.forEach((v) => v !== null && ys.push(v)); }
    for (const bar of this.data.bars) { xs.push(bar.x0, bar.x1); ys.push(bar.y0, bar.y1); }
    for (const path of this.data.paths) for (const [x, y] of path.points) { xs.push(x); ys.push(y); }
    this.x = this.data.xRange ?? spread(xs);
    this.y = this.data.yRange ?? spread(ys);
    if (this.options.equal) this.makeEqual();
  }

  makeEqual() {
    const wide = this.box.right - this.box.left, high = this.box.bottom - this.box.top;
    const unit = Math.max((this.x[1] - this.x[0]) / wide, (this.y[1] - this.y[0]) / high);
    const grow = (range, length) => {
      const middle = (range[0] + range[1]) / 2;
      return [middle - (unit * length) / 2, middle + (unit * length) / 2];
    };
    this.x = grow(this.x, wide);
    this.y = grow(this.y, high);
  }

  toX(value) { return this.box.left + ((value - this.x[0]) / (this.x[1] - this.x[0])) * (this.box.right - this.box.left); }

  toY(value) { return this.box.bottom - ((value - this.y[0]) / (this.y[1] - this.y[0])) * (this.box.bottom - this.box.top); }

  axes(pen) {
    pen.fillStyle = ink("quiet");
    pen.strokeStyle = ink("line");
    pen.lineWidth = 1;
    pen.textAlign = "center";
    pen.textBaseline = "top";
    const columns = Math.max(2, Math.floor((this.box.right - this.box.left) / 90));
    let free = 0;
    for (const [value, words] of this.data.xTicks ?? ticks(this.x, columns)) {
      const x = this.toX(value), half = pen.measureText(words).width / 2, at = Math.min(x, this.node.clientWidth - half - 1);
      stroke(pen, [[x, this.box.top], [x, this.box.bottom]]);
      if (at - half < free) continue;
      pen.fillText(words, at, this.box.bottom + 4);
      free = at + half + 8;
    }
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    for (const [value, words] of this.data.yTicks ?? ticks(this.y, Math.max(2, Math.floor((this.box.bottom - this.box.top) / 34)))) {
      const y = this.toY(value);
      stroke(pen, [[this.box.left, y], [this.box.right, y]]);
      pen.fillText(shorten(pen, words, this.box.left - 8), this.box.left - 5, y);
    }
    pen.textAlign = "center";
    pen.fillStyle = ink("ink");
    pen.fillText(this.options.x ?? "", (this.box.left + this.box.right) / 2, this.box.bottom + 28);
    pen.save();
    pen.translate(11, (this.box.top + this.box.bottom) / 2);
    pen.rotate(-Math.PI / 2);
    pen.fillText(this.options.y ?? "", 0, 0);
    pen.restore();
  }

  band(pen, band) {
    pen.fillStyle = band.colour ?? ink("band");
    const along = band.along ?? "y";
    if (along === "y") pen.fillRect(this.box.left, this.toY(band.high), this.box.right - this.box.left, this.toY(band.low) - this.toY(band.high));
    else pen.fillRect(this.toX(band.low), this.box.top, this.toX(band.high) - this.toX(band.low), this.box.bottom - this.box.top);
  }

  bar(pen, bar) {
    pen.fillStyle = bar.colour;
    const x = this.toX(bar.x0), y = this.toY(bar.y1);
    pen.fillRect(x, y, Math.max(1, this.toX(bar.x1) - x), this.toY(bar.y0) - y);
  }

  path(pen, path) {
    pen.setLineDash(path.dash ?? []);
    pen.lineWidth = path.width ?? 1.5;
    pen.beginPath();
    path.points.forEach(([x, y], i) => (i ? pen.lineTo(this.toX(x), this.toY(y)) : pen.moveTo(this.toX(x), this.toY(y))));
    if (path.closed) pen.closePath();
    if (path.fill) { pen.fillStyle = path.fill; pen.fill(); }
    if (path.stroke) { pen.strokeStyle = path.stroke; pen.stroke(); }
    pen.setLineDash([]);
  }

  line(pen, line) {
    pen.strokeStyle = line.colour;
    pen.lineWidth = line.width ?? 1.5;
    pen.setLineDash(line.dash ?? []);
    pen.beginPath();
    let before = null;
    line.x.forEach((value, i) => {
      if (line.y[i] === null) { before = null; return; }
      const x = this.toX(value), y = this.toY(line.y[i]);
      if (before === null) pen.moveTo(x, y);
      else { if (line.step) pen.lineTo(x, before); pen.lineTo(x, y); }
      before = y;
    });
    pen.stroke();
    pen.setLineDash([]);
  }

  // Points of one colour and shape, which have one size too, are drawn in one stroke.
  marks(pen) {
    for (const points of this.groups()) {
      const { colour, shape = "disc", size = 3 } = points[0];
      pen.fillStyle = pen.strokeStyle = colour;
      pen.lineWidth = 1.5;
      if (this.data.points.length > MANY) {
        for (const point of points) FAST[shape](pen, this.toX(point.x), this.toY(point.y));
        continue;
      }
      pen.beginPath();
      for (const point of points) SHAPES[shape](pen, this.toX(point.x), this.toY(point.y), size);
      if (shape === "disc") pen.fill();
      else pen.stroke();
    }
    this.ring(pen);
  }

  *groups() {
    const shapes = new Map();
    for (const point of this.data.points) {
      let colours = shapes.get(point.shape);
      if (!colours) shapes.set(point.shape, (colours = new Map()));
      const group = colours.get(point.colour);
      if (group) group.push(point);
      else colours.set(point.colour, [point]);
    }
    for (const colours of shapes.values()) yield* colours.values();
  }

  ring(pen) {
    const point = this.data.points[this.at];
    if (!point) return;
    pen.strokeStyle = ink("ink");
    pen.lineWidth = 2;
    pen.beginPath();
    SHAPES.disc(pen, this.toX(point.x), this.toY(point.y), (point.size ?? 3) + 3);
    pen.stroke();
  }

  nearest(x, y) {
    let best = -1, least = NEAR * NEAR;
    this.data.points.forEach((point, i) => {
      const away = (this.toX(point.x) - x) ** 2 + (this.toY(point.y) - y) ** 2;
      if (away < least && point.words) { least = away; best = i; }
    });
    if (best < 0) this.bars(x, y);
    return best;
  }

  bars(x, y) {
    this.over = this.data.bars.find((bar) =>
      this.toX(bar.x0) - 1 <= x && x <= this.toX(bar.x1) + 1 && this.toY(bar.y1) <= y && y <= this.toY(bar.y0)) ?? null;
    if (this.over) this.show(said(this.over), x, y);
  }

  point(at) {
    if (at < 0 && this.over) return;
    if (at < 0) this.tip.hidden = true;
    if (at === this.at) return;
    this.at = at;
    const point = this.data.points[at];
    if (point) this.show(said(point), this.toX(point.x), this.toY(point.y));
    this.draw();
  }

  show(words, x, y) {
    this.tip.textContent = words;
    this.tip.hidden = false;
    const left = x > this.node.clientWidth / 2;
    this.tip.style.left = left ? "auto" : `${x + 10}px`;
    this.tip.style.right = left ? `${this.node.clientWidth - x + 10}px` : "auto";
    this.tip.style.top = `${Math.max(0, y - 30)}px`;
  }

  key(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step && this.data.points.length) {
      event.preventDefault();
      this.over = null;
      this.point((this.at + step + this.data.points.length) % this.data.points.length);
      this.spoken.textContent = said(this.data.points[this.at]);
    } else if (step && this.data.bars.length) {
      event.preventDefault();
      this.stepBar(step);
    } else if (event.key === "Enter") this.choose();
    else if (event.key === "Escape") { this.over = null; this.point(-1); }
  }

  // The next bar, where the chart has no points. Bars are made again with each drawing: the one shown is known by its id.
  stepBar(step) {
    const bars = this.data.bars, same = bars.indexOf(this.over), at = same < 0 ? bars.findIndex((bar) => bar.id === this.over?.id) : same;
    this.over = bars[(Math.max(at, step < 0 ? 0 : at) + step + bars.length) % bars.length];
    this.show(said(this.over), this.toX((this.over.x0 + this.over.x1) / 2), this.toY(this.over.y1));
    this.spoken.textContent = said(this.over);
  }

  choose() {
    const chosen = this.data.points[this.at] ?? this.over;
    if (chosen?.id && this.options.chosen) this.options.chosen(chosen.id);
  }
}

const SHAPES = {
  disc: (pen, x, y, r) => { pen.moveTo(x + r, y); pen.arc(x, y, r, 0, 2 * Math.PI); },
  ring: (pen, x, y, r) => { pen.moveTo(x + r, y); pen.arc(x, y, r, 0, 2 * Math.PI); },
  cross: (pen, x, y, r) => { pen.moveTo(x - r, y - r); pen.lineTo(x + r, y + r); pen.moveTo(x - r, y + r); pen.lineTo(x + r, y - r); },
  plus: (pen, x, y, r) => { pen.moveTo(x - r, y); pen.lineTo(x + r, y); pen.moveTo(x, y - r); pen.lineTo(x, y + r); },
  diamond: (pen, x, y, r) => { pen.moveTo(x, y - r - 1); pen.lineTo(x + r + 1, y); pen.lineTo(x, y + r + 1); pen.lineTo(x - r - 1, y); pen.closePath(); },
};

// The same shapes made of rectangles, for many points.
const FAST = {
  disc: (pen, x, y) => pen.fillRect(x - 1.5, y - 1.5, 3, 3),
  diamond: (pen, x, y) => pen.fillRect(x - 3, y - 3, 6, 6),
  cross: (pen, x, y) => { pen.fillRect(x - 3, y - 0.5, 6, 1); pen.fillRect(x - 0.5, y - 3, 1, 6); },
  ring: (pen, x, y) => { pen.fillRect(x - 4, y - 4, 8, 1); pen.fillRect(x - 4, y + 3, 8, 1); pen.fillRect(x - 4, y - 4, 1, 8); pen.fillRect(x + 3, y - 4, 1, 8); },
};
FAST.plus = FAST.cross;

// What a point or bar says: words, or a function that makes them when they are asked for.
const said = (thing) => (typeof thing?.words === "function" ? thing.words() : thing?.words ?? "");

function stroke(pen, points) {
  pen.beginPath();
  points.forEach(([x, y], i) => (i ? pen.lineTo(x, y) : pen.moveTo(x, y)));
  pen.stroke();
}

function shorten(pen, words, width) {
  let text = words;
  while (text.length > 3 && pen.measureText(text).width > width) text = `${text.slice(0, -2)}…`;
  return text;
}

// The range of some numbers, a little wider.
export function spread(values) {
  let low = Infinity, high = -Infinity;
  for (const value of values) { if (value < low) low = value; if (value > high) high = value; }
  if (low > high) return [0, 1];
  const more = (high - low) * 0.04 || Math.abs(low) * 0.1 || 1;
  return [low - more, high + more];
}

// About `count` round numbers of a range, each with its label.
export function ticks([low, high], count) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((unit) => unit * power).find((unit) => unit >= rough);
  const found = [];
  for (let value = Math.ceil(low / step) * step; value <= high + step * 1e-9; value += step) {
    found.push([value, short(Number(value.toPrecision(8)))]);
  }
  return found;
}
