// Workers over time: each attempt as a bar from lease to end, waits, utilisation, and what each does now.

import { get } from "../api.js";
import { Chart } from "../chart.js";
import { ink } from "../colours.js";
import { card, el, refresh, replace, table, wide } from "../dom.js";
import { clock, duration, number, percent } from "../format.js";

export const title = "Workers";

const COLOURS = { running: "green", finished: "blue", failed: "red", lost: "yellow" };

const WINDOWS = [["600", "last 10 min"], ["3600", "last hour"], ["86400", "last day"], ["", "all"]];

export function mount(root, { store, go }) {
  const choose = el("select", { onchange: () => { seen = ""; store.notify(); } }, WINDOWS.map(([value, words]) => el("option", { value }, words)));
  choose.value = store.summary?.phase === "live" ? "600" : "";
  const gantt = el("div", {}), now = el("div", {}), waits = el("div", {}), pools = el("div", {});
  const key = el("p", { class: "key" }, Object.entries(COLOURS).map(([name, colour]) => el("span", {}, el("i", { style: `background:var(--${colour})` }), name)), el("span", {}, "pale: leased, MD not begun"));
  replace(root, wide("Workers over time", el("div", { class: "bar" }, el("label", {}, el("span", {}, "shown"), choose)), gantt, key),
    el("div", { class: "grid", style: "margin-top:14px" }, card("Now", now), card("Where time goes", waits), card("Allocations", pools)));
  let seen = "", chart = null, lanes = 0;

  async function draw() {
    const mark = `${store.summary.last_id}|${choose.value}|${Math.floor(store.summary.now_s / 5)}`;
    if (mark === seen) return;
    seen = mark;
    const timeline = await get(`${store.path}/timeline${choose.value ? `?last_s=${choose.value}` : ""}`);
    if (!chart || lanes !== timeline.workers.length) {
      lanes = timeline.workers.length;
      chart = new Chart({ label: "Workers over time", x: "time", y: "", left: 96, height: 60 + 26 * Math.max(1, Math.min(lanes, 40)), chosen: (id) => go("runs", id) });
      replace(gantt, chart.node);
    }
    chart.set(bars(timeline, store.summary, choose.value));
  }

  return {
    update() {
      draw().catch(() => {});
      const s = store.summary;
      refresh(now, s.workers.length ? table("Workers now", [
        { title: "worker", cell: (w) => w.worker }, { title: "phase", cell: (w) => w.phase },
        { title: "candidate", cell: (w) => w.candidate_id ?? "idle" }, { title: "step", number: true, cell: (w) => w.step.toLocaleString("en") },
        { title: "done", number: true, cell: (w) => String(w.completed) }, { title: "heard", cell: (w) => `${duration(s.now_s - w.seen_s)} ago` },
        { title: "ends in", cell: (w) => (w.ends_s ? duration(w.ends_s - s.now_s) : "–") }, { title: "fault", cell: (w) => w.fault ?? "" },
      ], s.workers) : el("p", { class: "quiet" }, "No worker is known now."));
      const words = { queue: "waiting for a worker", start: "until MD begins", md: "molecular dynamics", analysis: "until analysed" };
      refresh(waits, table("Mean time of a candidate in each stage", [
        { title: "stage", cell: ([name]) => words[name] ?? name }, { title: "mean", number: true, cell: ([, value]) => (value === null ? "–" : `${number(value, 2)} s`) },
      ], Object.entries(s.stages)), el("p", {}, `Utilisation ${percent(s.utilisation)}: time in LAMMPS over the workers' time.`));
      refresh(pools, allocations(s));
    },
  };
}

function bars(timeline, s, window_) {
  const end = s.phase === "live" ? s.now_s : Math.max(...timeline.finished_s.filter((v) => v !== null), 0) || s.now_s;
  const begin = window_ ? Math.max(end - Number(window_), Math.min(...timeline.leased_s, end)) : Math.min(...timeline.leased_s, end);
  const found = [], pale = ink("line");
  timeline.worker.forEach((lane, i) => {
    const y0 = lane - 0.36, y1 = lane + 0.36, leased = timeline.leased_s[i], last = timeline.finished_s[i] ?? end, start = timeline.started_s[i] ?? leased;
    const words = `${timeline.candidate_id[i]} attempt ${timeline.attempt[i]}, ${timeline.end[i]}: ${duration(last - leased)} from ${clock(leased)}`;
    if (start > leased) found.push({ x0: leased, x1: start, y0, y1, colour: pale, words, id: timeline.candidate_id[i] });
    found.push({ x0: start, x1: last, y0, y1, colour: ink(COLOURS[timeline.end[i]]), words, id: timeline.candidate_id[i] });
  });
  const time = (value) => new Date(1000 * value).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: end - begin < 600 ? "2-digit" : undefined });
  const xTicks = [0.05, 0.35, 0.65, 0.95].map((share) => begin + share * (end - begin)).map((value) => [value, time(value)]);
  return {
    bars: found, xRange: [begin, end + 0.01 * (end - begin) + 0.1], yRange: [-0.6, timeline.workers.length - 0.4], xTicks,
    yTicks: timeline.workers.map((name, i) => [i, name]).slice(0, 40), said: `${timeline.worker.length} attempts of ${timeline.workers.length} workers`,
  };
}

// Workers of one pool share an allocation; the pool that `run` starts has workers called worker-0, worker-1 and so on.
function allocations(s) {
  const pools = new Map();
  for (const worker of s.workers) {
    const pool = worker.worker.match(/^(.*)-worker-\d+$/)?.[1] ?? "main";
    pools.set(pool, [...(pools.get(pool) ?? []), worker]);
  }
  if (!pools.size) return el("p", { class: "quiet" }, "No allocation is known now.");
  return table("Allocations", [
    { title: "pool", cell: ([name]) => name }, { title: "workers", number: true, cell: ([, all]) => String(all.length) },
    { title: "busy", number: true, cell: ([, all]) => String(all.filter((w) => w.candidate_id).length) },
    { title: "ends in", cell: ([, all]) => { const ends = all.map((w) => w.ends_s).filter(Boolean); return ends.length ? duration(Math.min(...ends) - s.now_s) : "no end known"; } },
  ], [...pools]);
}
