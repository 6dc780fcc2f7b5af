// The search space: each pair of parameters, and all of them side by side, coloured by twist.

import { Chart } from "../chart.js";
import { Parallel } from "../parallel.js";
import { channelsOf, ink, rampStyle, twistColour } from "../colours.js";
import { get } from "../api.js";
import { card, el, replace, wide } from "../dom.js";
import { label, number } from "../format.js";

export const title = "Search space";

const MOST_PAIRS = 6;

export function mount(root, { store, go }) {
  const pairs = el("div", { class: "grid" }), parallel = new Parallel((id) => go("bilayer", id));
  const only = el("input", { type: "checkbox", id: "hits-only", onchange: () => update() });
  const model = el("select", { id: "model-target", onchange: () => fetchModel() }, el("option", { value: "" }, "none"));
  const modelSays = el("span", { class: "quiet", role: "status" });
  const cellSays = el("p", { class: "quiet" });
  let maps = null, asked = -1, busy = false, words = "";
  replace(root, el("p", { class: "key" },
    el("span", {}, "twist 0°", el("span", { class: "ramp", style: rampStyle(), role: "img", "aria-label": "colours of twists from 0 to 30 degrees" }), "30°"),
    el("span", {}, "◇ hit"), el("span", {}, "× no twist"), el("span", {}, "○ pending")),
    wide("All parameters", el("div", { class: "bar" }, el("label", { for: "hits-only" }, only, " hits only")), parallel.node,
      el("p", { class: "quiet" }, "Drag along an axis to keep what lies there; click the axis to keep all.")),
    cellSays,
    el("div", { class: "bar" }, el("label", { for: "model-target" }, "model's probability of a hit for ", model), modelSays),
    pairs);
  get(`${store.path}/cells`).then((cells) => {
    parallel.admitted = cells.twists ?? [];
    cellSays.textContent = cells.reason ? `Admitted twists: ${cells.reason}` : admittedWords(parallel.admitted);
    parallel.draw();
  }).catch((error) => { cellSays.textContent = `Admitted twists: ${error.message}`; });

  // Fitting takes seconds: only once a target was asked for, and again when a tenth more results are there.
  // Until then the map that was made before stays, and says by how many twists.
  async function fetchModel() {
    if (model.value === "") { maps = null; words = ""; modelSays.textContent = ""; update(); return; }
    if (busy) return;
    busy = true;
    asked = store.total;
    modelSays.textContent = words ? `${words}; being fitted again …` : "being fitted …";
    try {
      maps = await get(`${store.path}/model`);
      words = maps.reason ?? `by ${maps.twists} twists, the largest over the other parameters: clear ${range(maps, Number(model.value)).map(percent).join(", full colour ")}`;
    } catch (error) { maps = null; words = error.message; }
    modelSays.textContent = words;
    busy = false;
    update();
  }

  function offerTargets() {
    const words = store.summary.targets.map((target) => `${target.twist_deg}° ± ${target.tolerance_deg}°`);
    if (words.join() === [...model.options].slice(1).map((option) => option.textContent).join()) return;
    replace(model, el("option", { value: "" }, "none"), ...words.map((word, i) => el("option", { value: String(i) }, word)));
  }
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
    offerTargets();
    if (model.value !== "" && !busy && store.total > 1.1 * asked + 5) fetchModel();
    const rows = [];
    for (let row = 0; row < store.total; row += 1) if (!only.checked || store.isHit(row)) rows.push(row);
    for (const { x, y, chart } of charts) chart.set({ ...pairOf(store, x, y, rows, only.checked), bars: barsOf(store, model.value === "" ? null : maps, Number(model.value), x, y) });
    parallel.set(store, rows);
  }
  return { update };
}

const percent = (share) => `${Math.round(1000 * share) / 10} %`;

function range(maps, target) {
  const all = (maps.pairs ?? []).flatMap((pair) => pair.probability[target] ?? []);
  return [Math.min(...all), Math.max(...all)];
}

function admittedWords(twists) {
  if (!twists.length) return "The cell admits no coherent twist at the strain that is looked at.";
  const rounded = [...new Set(twists.map((each) => Math.round(10 * each.twist_deg) / 10))], few = rounded.slice(0, 40).join(", ");
  return `Ticks left of the twist axis: the ${twists.length} twists that the cell admits (${few}${rounded.length > 40 ? " …" : ""}).`;
}

// The model's map behind the points: the surer a hit, the less one sees through its colour.
function barsOf(store, maps, target, x, y) {
  const pair = maps?.pairs?.find((one) => one.x === x && one.y === y), found = pair?.probability[target];
  if (!found) return [];
  const [low, top] = range(maps, target), [x0, x1] = store.summary.space[x], [y0, y1] = store.summary.space[y], size = maps.size;
  const [red, green, blue] = channelsOf(ink("red"));
  return found.flatMap((probability, at) => {
    const share = (probability - low) / Math.max(0.001, top - low);
    if (share < 0.03) return [];
    const column = at % size, row = Math.floor(at / size);
    const end = (from, to, step) => from + (step / size) * (to - from);
    return [{ x0: end(x0, x1, column), x1: end(x0, x1, column + 1), y0: end(y0, y1, row), y1: end(y0, y1, row + 1),
      colour: `rgba(${red},${green},${blue},${(0.5 * share).toFixed(3)})` }];
  });
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
