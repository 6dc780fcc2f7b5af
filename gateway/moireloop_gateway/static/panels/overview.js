// State, budget, time left, counts, and how near each target was come.

import { get } from "../api.js";
import { Chart } from "../chart.js";
import { ink } from "../colours.js";
import { card, el, refresh, replace, table } from "../dom.js";
import { clock, duration, number, percent } from "../format.js";

export const title = "Overview";

export function mount(root, { store, go }) {
  const tiles = el("div", { class: "tiles" }), charts = el("div", { class: "grid" }), targets = el("div", {}), events = el("div", {});
  replace(root, tiles, charts, el("div", { class: "grid", style: "margin-top:14px" }, card("Targets", targets), card("What happened", events)));
  const made = new Map();
  let remarksOf = "";

  function chartOf(target, number_) {
    if (!made.has(number_)) {
      const chart = new Chart({ label: `Error of each result, target ${target.twist_deg}°`, x: "result", y: "error (°)", chosen: (id) => go("bilayer", id) });
      made.set(number_, chart);
      charts.append(card(`Distance from ${number(target.twist_deg, 1)}°`, chart.node, el("p", { class: "quiet" },
        "Dots are results, diamonds hits; the line is the best so far, the band the tolerance. Enter or a click shows the bilayer.")));
    }
    return made.get(number_);
  }

  async function remarks() {
    if (remarksOf === store.summary.last_id) return;
    remarksOf = store.summary.last_id;
    const { remarks: all } = await get(`${store.path}/remarks`);
    refresh(events, table("What happened", [
      { title: "when", cell: (r) => clock(r.at_s) }, { title: "what", cell: (r) => r.kind }, { title: "details", cell: (r) => r.text },
    ], all.slice(-40).reverse()));
  }

  return {
    update() {
      const s = store.summary, counts = s.counts;
      refresh(tiles, tile("state", s.phase === "live" ? s.state : `${s.state ?? "–"}`, s.state_reason ?? ""),
        budgetTile(s), tile("time", duration(elapsed(s)), s.left_s === null ? "" : `${s.left_at_most ? "at most" : "about"} ${duration(s.left_s)} left`),
        tile("now", `${counts.running} running`, `${counts.queued} queued, ${counts.analysing} being analysed`),
        tile("results", `${counts.measured} measured`, `${counts.refused} refused, ${counts.failed} failed, ${counts.cancelled} cancelled`),
        tile("utilisation", percent(s.utilisation), "of the workers' time in LAMMPS"),
        tile("MD steps", s.steps_done.toLocaleString("en"), saved(s)));
      refresh(targets, table("Targets", [
        { title: "target", cell: (t) => `${number(t.twist_deg, 2)}° ± ${number(t.tolerance_deg, 2)}°` },
        { title: "hits", number: true, cell: (t) => String(t.hits) },
        { title: "best error", number: true, cell: (t) => (t.error_deg === null ? "–" : `${number(t.error_deg, 3)}°`) },
        { title: "of", cell: (t) => (t.candidate_id ? el("a", { href: `#/${store.key}/bilayer/${t.candidate_id}` }, t.candidate_id) : "–") },
      ], s.targets));
      s.targets.forEach((target, i) => chartOf(target, i).set(errors(store, target)));
      remarks().catch(() => {});
    },
  };
}

const elapsed = (s) => (s.session_started_s ? (s.phase === "live" ? s.now_s - s.session_started_s : null) : null);

const tile = (name, value, more) => el("div", { class: "tile" }, el("span", { class: "quiet" }, name), el("b", {}, value), el("span", { class: "quiet" }, more));

// Steps that early ends saved, and how many of those that were checked would have been wrong.
function saved(s) {
  const words = s.steps_saved ? `${s.steps_saved.toLocaleString("en")} saved by early ends` : "none saved by early ends";
  return s.early_checked ? `${words}, ${s.early_wrong} of ${s.early_checked} checked wrong` : words;
}

function budgetTile(s) {
  const most = s.budget?.results ?? 0;
  return el("div", { class: "tile" }, el("span", { class: "quiet" }, "budget"), el("b", {}, `${s.spent} / ${most || "–"}`),
    el("progress", { max: String(most || 1), value: String(s.spent), "aria-label": `${s.spent} of ${most} results` }));
}

function errors(store, target) {
  const points = [], x = [], y = [], colour = ink("blue"), hit = ink("red");
  let best = Infinity;
  store.columns.twist_deg?.forEach((twist, row) => {
    if (twist === null) return;
    const error = Math.abs(twist - target.twist_deg), id = store.columns.candidate_id[row];
    const isHit = error <= target.tolerance_deg;
    points.push({ x: row + 1, y: error, colour: isHit ? hit : colour, shape: isHit ? "diamond" : "disc", size: isHit ? 4 : 2.5, id, words: () => `${id}: ${twist.toFixed(2)}°, ${error.toFixed(2)}° off` });
    if (error >= best) return;
    best = error;
    x.push(row + 1);
    y.push(best);
  });
  if (x.length) { x.push(store.total); y.push(best); }
  return {
    points, lines: [{ x, y, colour: ink("ink"), width: 2, step: true }], bands: [{ low: 0, high: target.tolerance_deg }],
    yRange: [0, Math.max(1, ...quantile(points.map((p) => p.y)))], xRange: [0, Math.max(10, store.total + 1)],
    said: best === Infinity ? "No twist yet" : `Best so far ${best.toFixed(2)} degrees off, of ${points.length} results`,
  };
}

const quantile = (values) => [values.reduce((most, value) => Math.max(most, value), 0) * 1.05];
