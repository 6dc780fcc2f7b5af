// The bilayer of a finished run, from above with both lattices and the moire cell, and in 3D by plotly.

import { get } from "../api.js";
import { Chart } from "../chart.js";
import { ink } from "../colours.js";
import { card, el, fill, replace } from "../dom.js";
import { label, number, short, withError } from "../format.js";

export const title = "Bilayer";

export function mount(root, { store, chosen, go }) {
  const pick = el("select", { "aria-label": "run", onchange: () => go("bilayer", pick.value) });
  const place = el("div", {});
  replace(root, el("div", { class: "bar" }, el("label", {}, el("span", {}, "finished run"), pick)), place);
  let shown = null;

  async function show(id) {
    shown = id;
    replace(place, el("p", { class: "quiet", role: "status" }, `Reading the structure of ${id} …`));
    try {
      const structure = await get(`${store.path}/runs/${encodeURIComponent(id)}/structure`);
      if (shown === id) draw(place, structure, id);
    } catch (error) {
      replace(place, el("p", {}, error.message));
    }
  }

  return {
    update() {
      const ids = store.columns.candidate_id ?? [], best = store.summary.targets.find((t) => t.candidate_id)?.candidate_id;
      const id = chosen || best || ids.at(-1);
      if (!id) { replace(place, el("p", { class: "quiet" }, "No run has ended yet.")); return; }
      fill(pick, [...new Set([id, best, ...ids.slice(-400).reverse()])].filter(Boolean).map((name) => [name, named(store, name)]), id);
      if (shown !== id) show(id);
    },
  };
}

function named(store, id) {
  const row = (store.columns.candidate_id ?? []).indexOf(id), twist = row < 0 ? null : store.columns.twist_deg[row];
  return row < 0 ? id : `${id}: ${twist === null ? store.columns.outcome[row] : `${number(twist)}°`}`;
}

function draw(place, s, id) {
  const above = new Chart({ label: `${id} from above`, x: "x (Å)", y: "y (Å)", height: 520, equal: true });
  const space = el("div", { class: "three", role: "figure", "aria-label": `${id} in three dimensions` });
  const facts = [
    ["twist", s.twist_deg === null ? s.reason_without_twist : withError(s.twist_deg, s.sigma_deg)],
    ["moire", s.moire_angstrom === null ? "–" : `${number(s.moire_angstrom, 1)} Å`], ["stacking", s.stacking ?? "–"],
    ["atoms", s.atoms > s.x.length ? `${s.atoms}, of which the middle ${s.x.length} are shown` : String(s.atoms)],
  ];
  const key = el("p", { class: "key" }, swatch("blue", "lower layer"), swatch("red", "upper layer"), swatch("grey", "in no layer"),
    el("span", {}, "× + sites of the fitted lattices"), el("span", {}, "– – moire cell"), el("span", {}, "— cell"), el("span", {}, "arrows: directions of the lattices"));
  replace(place, el("div", { class: "tiles" }, facts.map(([name, value]) => el("div", { class: "tile" }, el("span", { class: "quiet" }, name), el("b", {}, value)))),
    el("div", { class: "grid" }, card("From above", above.node, key), card("In 3D", space)));
  above.set(fromAbove(s));
  inSpace(space, s).catch((error) => replace(space, el("p", { class: "quiet" }, error.message)));
}

const swatch = (colour, words) => el("span", {}, el("i", { style: `background:var(--${colour})` }), words);

const COLOURS = ["blue", "red", "grey"];

function fromAbove(s) {
  const points = s.x.map((x, i) => ({ x, y: s.y[i], colour: ink(COLOURS[s.layer[i]]), shape: s.layer[i] === 0 ? "ring" : "disc", size: s.x.length > 3000 ? 1.5 : 3 }));
  for (const [name, colour] of [["lower", "blue"], ["upper", "red"]]) {
    if (s[name] && s.x.length <= 3000) for (const [x, y] of sites(s[name], s.cell)) points.push({ x, y, colour: ink(colour), shape: name === "lower" ? "cross" : "plus", size: 3 });
  }
  const [a, b] = s.cell, paths = [{ points: [[0, 0], a, [a[0] + b[0], a[1] + b[1]], b], closed: true, stroke: ink("ink") }];
  if (s.moire_corners) paths.push({ points: s.moire_corners, closed: true, stroke: ink("ink"), dash: [6, 4], width: 2.5, fill: ink("band") });
  const middle = [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2], length = 0.3 * Math.hypot(...a);
  (s.directions_rad ?? []).forEach((angle, layer) => paths.push(...arrow(middle, angle, length, ink(COLOURS[layer]))));
  return { points, paths, said: s.twist_deg === null ? s.reason_without_twist : `Twist ${number(s.twist_deg)} degrees` };
}

// The sites of a fitted lattice inside the cell: whole numbers of its two vectors from one site.
function sites({ vectors: [u, v], site }, [a, b]) {
  const area = a[0] * b[1] - a[1] * b[0], reach = Math.ceil((Math.hypot(...a) + Math.hypot(...b)) / Math.min(Math.hypot(...u), Math.hypot(...v)) * 1.3), found = [];
  for (let i = -reach; i <= reach; i += 1) {
    for (let j = -reach; j <= reach; j += 1) {
      const x = site[0] + i * u[0] + j * v[0], y = site[1] + i * u[1] + j * v[1];
      const along = (x * b[1] - y * b[0]) / area, across = (y * a[0] - x * a[1]) / area;
      if (along >= 0 && along < 1 && across >= 0 && across < 1) found.push([x, y]);
    }
  }
  return found;
}

function arrow([x, y], angle, length, colour) {
  const tip = [x + length * Math.cos(angle), y + length * Math.sin(angle)], barb = (turn) => [tip[0] - 0.12 * length * Math.cos(angle + turn), tip[1] - 0.12 * length * Math.sin(angle + turn)];
  return [{ points: [[x, y], tip], stroke: colour, width: 4 }, { points: [barb(0.4), tip, barb(-0.4)], stroke: colour, width: 4 }];
}

let loading = null;

// Plotly comes from the PyPI package beside the gateway, and only for the 3D view.
function plotly() {
  loading ??= new Promise((resolve, reject) => {
    const script = el("script", { src: "/vendor/plotly.min.js" });
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => { loading = null; reject(new Error("The 3D view needs the package plotly beside the gateway.")); };
    document.head.append(script);
  });
  return loading;
}

// Further away the longer the cell is in its plane, so that all of it is seen.
function eye([a, b]) {
  const wide = Math.abs(a[0]) + Math.abs(b[0]), deep = Math.abs(a[1]) + Math.abs(b[1]);
  const far = Math.max(1, Math.sqrt(wide / deep), Math.sqrt(deep / wide));
  return { x: 1.3 * far, y: -1.7 * far, z: 1.1 * far };
}

async function inSpace(node, s) {
  const Plotly = await plotly(), size = s.x.length > 3000 ? 2 : 4;
  const traces = ["lower layer", "upper layer", "in no layer"].map((name, layer) => {
    const of = (values) => values.filter((_, i) => s.layer[i] === layer);
    return { type: "scatter3d", mode: "markers", name, x: of(s.x), y: of(s.y), z: of(s.z), hoverinfo: "name", marker: { size, color: ink(COLOURS[layer]) } };
  }).filter((trace) => trace.x.length);
  const axis = (title) => ({ title: { text: title }, color: ink("quiet"), gridcolor: ink("line"), zeroline: false });
  const layout = {
    margin: { l: 0, r: 0, t: 0, b: 0 }, paper_bgcolor: ink("card"), font: { color: ink("ink") }, showlegend: false,
    scene: { aspectmode: "data", xaxis: axis("x (Å)"), yaxis: axis("y (Å)"), zaxis: { ...axis("z (Å)"), nticks: 3 }, camera: { eye: eye(s.cell) } },
  };
  await Plotly.newPlot(node, traces, layout, { displaylogo: false, responsive: true, modeBarButtonsToRemove: ["toImage"] });
}
