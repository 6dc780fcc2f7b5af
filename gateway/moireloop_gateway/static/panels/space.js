// The search space: each pair of parameters, and all of them side by side, coloured by twist.

import { Chart } from "../chart.js";
import { Parallel } from "../parallel.js";
import { ink, rampStyle, twistColour } from "../colours.js";
import { card, el, replace, wide } from "../dom.js";
import { label, number } from "../format.js";

export const title = "Search space";

const MOST_PAIRS = 6;

export function mount(root, { store, go }) {
  const pairs = el("div", { class: "grid" }), parallel = new Parallel((id) => go("bilayer", id));
  const only = el("input", { type: "checkbox", id: "hits-only", onchange: () => update() });
  replace(root, el("p", { class: "key" },
    el("span", {}, "twist 0°", el("span", { class: "ramp", style: rampStyle, role: "img", "aria-label": "colours of twists from 0 to 30 degrees" }), "30°"),
    el("span", {}, "◇ hit"), el("span", {}, "× no twist"), el("span", {}, "○ pending")),
    wide("All parameters", el("div", { class: "bar" }, el("label", { for: "hits-only" }, only, " hits only")), parallel.node,
      el("p", { class: "quiet" }, "Drag along an axis to keep what lies there; click the axis to keep all.")),
    el("div", { style: "height:14px" }), pairs);
  const charts = [];

  function build() {
    const names = store.parameters, wanted = [];
    names.forEach((x, i) => names.slice(i + 1).forEach((y) => wanted.push([x, y])));
    for (const [x, y] of wanted.slice(0, MOST_PAIRS)) {
      const chart = new Chart({ label: `${label(y)} over ${label(x)}`, x: label(x), y: label(y), height: 300, chosen: (id) => go("bilayer", id) });
      charts.push({ x, y, chart });
      pairs.append(card(`${label(x)}, ${label(y)}`, chart.node));
    }
  }

  function update() {
    if (!charts.length && store.parameters.length > 1) build();
    const rows = [];
    for (let row = 0; row < store.total; row += 1) if (!only.checked || store.isHit(row)) rows.push(row);
    for (const { x, y, chart } of charts) chart.set(pairOf(store, x, y, rows, only.checked));
    parallel.set(store, rows);
  }
  return { update };
}

function pairOf(store, x, y, rows, hitsOnly) {
  const xs = store.columns[`parameter.${x}`] ?? [], ys = store.columns[`parameter.${y}`] ?? [], without = ink("grey");
  const points = rows.filter((row) => xs[row] !== null && ys[row] !== null).map((row) => {
    const twist = store.columns.twist_deg[row], id = store.columns.candidate_id[row], isHit = store.isHit(row);
    return {
      x: xs[row], y: ys[row], colour: twistColour(twist, without), id, size: isHit ? 5 : 3,
      shape: twist === null ? "cross" : isHit ? "diamond" : "disc",
      words: () => `${id}: ${twist === null ? store.columns.outcome[row] : `${number(twist)}°`}`,
    };
  });
  if (!hitsOnly) {
    for (const c of store.candidates) {
      points.push({ x: c.parameters[x], y: c.parameters[y], colour: ink("ink"), shape: "ring", size: 5, words: `${c.candidate_id}: ${c.state}` });
    }
  }
  const grow = ([low, high]) => [low - 0.03 * (high - low), high + 0.03 * (high - low)];
  return { points, xRange: grow(store.summary.space[x]), yRange: grow(store.summary.space[y]), said: `${points.length} candidates` };
}
