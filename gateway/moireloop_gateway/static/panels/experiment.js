// Simulation and experiment side by side: twists over time, patterns over each other, the closest recipe of each.

import { get } from "../api.js";
import { Chart } from "../chart.js";
import { ink } from "../colours.js";
import { card, el, replace, table, wide } from "../dom.js";
import { clock, number, short, withError } from "../format.js";
import { asked } from "./steering.js";

export const title = "Experiment";

const SHOWN = 200;

export function mount(root, { store, session, go, chosen }) {
  const twists = new Chart({ label: "Twists over time", x: "hours since the campaign began", y: "twist (°)", chosen: (id) => pick(id) });
  const places = new Chart({ label: "Patterns over each other", x: "q_x (1/Å)", y: "q_y (1/Å)", height: 380, equal: true });
  const said = el("p", { role: "status", "aria-live": "polite" }), words = el("p", { class: "quiet" }), rows = el("div", {});
  replace(root, said, el("div", { class: "grid" },
    card("Twists over time", twists.node, el("p", { class: "quiet" }, "Dots are simulated results, diamonds with their errors are measured patterns. Enter or a click shows one.")),
    card("Patterns over each other", places.node, words)), el("div", { style: "height:14px" }), wide("Measured patterns", rows));
  let seen = -1, patterns = [], picked = chosen || null, drawn = "";

  async function read() {
    seen = store.summary.patterns;
    ({ patterns } = await get(`${store.path}/patterns`));
    replace(rows, patterns.length ? table("Measured patterns", columns(), patterns.slice(-SHOWN).reverse())
      : el("p", { class: "quiet" }, "None yet: campaign.submit_pattern(...), or POST to /patterns."));
    picked ??= patterns.at(-1)?.pattern_id ?? null;
    draw();
    await overlay();
  }

  const columns = () => [
    { title: "pattern", cell: (p) => el("button", { type: "button", onclick: () => pick(p.pattern_id) }, p.pattern_id) },
    { title: "when", cell: (p) => clock(timeOf(p)) }, { title: "by", cell: (p) => p.requester },
    { title: "twist", cell: (p) => (p.analysis.twist_deg === null ? p.analysis.reason : withError(p.analysis.twist_deg, p.analysis.sigma_deg)) },
    { title: "strain", cell: (p) => p.analysis.layers.map((l) => `${(100 * l.strain_high).toFixed(2)} / ${(100 * l.strain_low).toFixed(2)} %`).join(", ") },
    { title: "closest recipe", long: true, cell: (p) => closest(p) },
    { title: "chamber", long: true, cell: (p) => Object.entries(p.parameters).map(([name, value]) => `${name} ${short(value)}`).join(", ") },
    { title: "target", cell: (p) => target(p) },
  ];

  function closest(pattern) {
    const near = pattern.analysis.closest[0], row = near ? store.columns.candidate_id?.indexOf(near.candidate_id) ?? -1 : -1;
    if (!near) return "";
    const recipe = row < 0 ? "" : store.parameters.map((name) => `${name} ${short(store.columns[`parameter.${name}`][row])}`).join(", ");
    return el("span", {}, el("a", { href: `#/${store.key}/bilayer/${near.candidate_id}` }, near.candidate_id), ` (${near.distance_per_angstrom.toFixed(3)} 1/Å) ${recipe}`);
  }

  function target(pattern) {
    if (pattern.analysis.twist_deg === null) return "";
    return el("button", {
      type: "button", class: "plain", disabled: session.role !== "controller" || !store.summary.steers,
      onclick: async () => {
        const summary = `Search for ${number(pattern.analysis.twist_deg, 2)} degrees from now on, instead of all targets so far.`;
        try {
          if (!(await asked(store, { name: "retarget", summary }, { pattern_id: pattern.pattern_id }, "retarget_to_pattern"))) return;
          said.textContent = `targets: ${number(pattern.analysis.twist_deg, 2)} degrees, as in ${pattern.pattern_id}`;
        } catch (error) {
          said.textContent = error.message;
        }
      },
    }, "make this twist");
  }

  function pick(id) {
    if (!patterns.some((pattern) => pattern.pattern_id === id)) return go("bilayer", id);
    picked = id;
    draw();
    overlay().catch((error) => { words.textContent = error.message; });
  }

  function draw() {
    const c = store.columns, begin = store.summary.started_s ?? 0, points = [], lines = [];
    c.twist_deg?.forEach((twist, row) => {
      if (twist === null) return;
      const id = c.candidate_id[row];
      points.push({ x: (c.logged_s[row] - begin) / 3600, y: twist, colour: ink("blue"), shape: "disc", size: 2.5, id, words: () => `${id}: ${twist.toFixed(2)}°` });
    });
    for (const pattern of patterns) {
      const { twist_deg: twist, sigma_deg: sigma } = pattern.analysis;
      if (twist === null) continue;
      const x = (timeOf(pattern) - begin) / 3600, colour = ink("red");
      points.push({ x, y: twist, colour, shape: "diamond", size: pattern.pattern_id === picked ? 7 : 5, id: pattern.pattern_id, words: () => `${pattern.pattern_id}: ${withError(twist, sigma)}` });
      lines.push({ x: [x, x], y: [twist - sigma, twist + sigma], colour });
    }
    const bands = store.summary.targets.map((t) => ({ low: t.twist_deg - t.tolerance_deg, high: t.twist_deg + t.tolerance_deg }));
    twists.set({ points, lines, bands, said: `${points.length} twists, ${lines.length} of them measured` });
  }

  // The peaks of the picked pattern, and the first rings of the most similar result, turned as the pattern is.
  async function overlay() {
    const pattern = patterns.find((one) => one.pattern_id === picked);
    if (!pattern || drawn === picked) return;
    drawn = picked;
    const { pattern: whole } = await get(`${store.path}/patterns/${encodeURIComponent(picked)}`);
    const brightest = Math.max(...whole.peaks.intensity);
    const points = whole.peaks.q_x_per_angstrom.map((x, i) => ({
      x, y: whole.peaks.q_y_per_angstrom[i], colour: ink("red"), shape: "disc", size: 2 + 3 * Math.sqrt(whole.peaks.intensity[i] / brightest),
      words: `measured, intensity ${short(whole.peaks.intensity[i])}`,
    }));
    const near = whole.analysis.closest[0];
    words.textContent = whole.analysis.reason ?? "";
    if (near) {
      const { result } = await get(`${store.path}/results/${near.candidate_id}`);
      for (const [x, y] of turnedLike(whole.analysis, result.measurement)) points.push({ x, y, colour: ink("blue"), shape: "diamond", size: 7, words: `simulated, ${near.candidate_id}` });
      words.textContent = `Red: measured peaks of ${picked}. Blue: first rings of ${near.candidate_id}, the most similar result, turned as a whole.`;
    }
    places.set({ points, said: `${whole.peaks.intensity.length} measured peaks` });
  }

  return {
    update() {
      if (seen !== store.summary.patterns) read().catch((error) => { said.textContent = error.message; });
      else draw();
    },
  };
}

const timeOf = (pattern) => pattern.measured_s ?? pattern.at_s;

// Six first-ring spots of the lattice with vectors [x1, y1, x2, y2].
function ring([ax, ay, bx, by]) {
  const area = ax * by - ay * bx, unit = (2 * Math.PI) / area;
  let first = [unit * by, -unit * bx], second = [-unit * ay, unit * ax];
  if (first[0] * second[0] + first[1] * second[1] > 0) second = [second[0] - first[0], second[1] - first[1]];
  const third = [first[0] + second[0], first[1] + second[1]];
  return [first, second, third].flatMap(([x, y]) => [[x, y], [-x, -y]]);
}

// The rings of a result, rotated and perhaps mirrored so that they lie nearest to the rings of the pattern.
function turnedLike(analysis, measurement) {
  const measured = analysis.layers.map((layer) => ring(layer.vectors_angstrom));
  const rings = [ring(measurement.lower_vectors_angstrom), ring(measurement.upper_vectors_angstrom)];
  let best = null, least = Infinity;
  for (const [one, other] of [[0, 1], [1, 0]]) for (const mirror of [1, -1]) {
    const shown = [rings[one], rings[other]].map((spots) => spots.map(([x, y]) => [x, mirror * y]));
    for (const [x, y] of measured[0]) {
      const turn = Math.atan2(y, x) - Math.atan2(shown[0][0][1], shown[0][0][0]), c = Math.cos(turn), s = Math.sin(turn);
      const turned = shown.map((spots) => spots.map(([u, v]) => [c * u - s * v, s * u + c * v]));
      const away = turned.flatMap((spots, layer) => spots.map((spot) => Math.min(...measured[layer].map((q) => Math.hypot(q[0] - spot[0], q[1] - spot[1])))));
      const total = away.reduce((sum, value) => sum + value * value, 0);
      if (total < least) { least = total; best = turned.flat(); }
    }
  }
  return best;
}
