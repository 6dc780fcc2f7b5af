// Twist, order and temperature over the steps of runs: of those that go on, live, and of any other that is named.

import { get } from "../api.js";
import { Chart } from "../chart.js";
import { ink } from "../colours.js";
import { card, el, fill, replace } from "../dom.js";
import { label, number, short } from "../format.js";

export const title = "Runs";

const MOST_LIVE = 12;

export function mount(root, { store, chosen, go }) {
  const live = el("div", { class: "grid" }), named = el("div", { class: "grid" });
  const pick = el("select", { "aria-label": "finished run", onchange: () => go("runs", pick.value) });
  replace(root, el("h2", {}, "Running now"), live, el("h2", { style: "margin-top:18px" }, "A run"), el("div", { class: "bar" }, el("label", {}, el("span", {}, "finished run"), pick)), named);
  const shown = new Map(), asked = new Set();
  let ofChosen = null;

  function chartsOf(place, key, head) {
    const twist = new Chart({ label: `Twist of ${key}`, x: "step", y: "twist (°)", height: 190 });
    const order = new Chart({ label: `Order of ${key}`, x: "step", y: "|psi6|", height: 150 });
    const heat = new Chart({ label: `Temperature of ${key}`, x: "step", y: "T (K)", height: 150 });
    const words = el("p", { class: "quiet" });
    const node = card(head, words, twist.node, order.node, heat.node);
    place.append(node);
    return { twist, order, heat, words, node };
  }

  async function before(id) {
    asked.add(id);
    const { series } = await get(`${store.path}/runs/${id}/series`);
    const last = series.at(-1);
    if (!last) return;
    const points = rowsOf(last), known = store.series.get(id) ?? [];
    store.series.set(id, [...points, ...known.filter((p) => p.attempt === last.attempt && p.step > (points.at(-1)?.step ?? -1))]);
    store.tellSoon();
  }

  async function finished() {
    const id = chosen || store.columns.candidate_id?.at(-1);
    if (!id || ofChosen === id) return;
    ofChosen = id;
    fill(pick, (store.columns.candidate_id ?? []).slice(-500).reverse().concat(chosen && !(store.columns.candidate_id ?? []).slice(-500).includes(chosen) ? [chosen] : []).map((name) => [name, name]), id);
    const { series } = await get(`${store.path}/runs/${id}/series`);
    replace(named);
    if (!series.length) named.append(el("p", { class: "quiet" }, `No frame of ${id} was kept.`));
    for (const one of series) {
      const charts = chartsOf(named, id, `${id}, attempt ${one.attempt}`);
      draw(store, charts, rowsOf(one), one.planned_steps, endOf(store, id));
    }
  }

  return {
    update() {
      const running = store.candidates.filter((c) => c.state !== "queued").slice(0, MOST_LIVE);
      for (const [id, charts] of shown) if (!running.some((c) => c.candidate_id === id)) { charts.node.remove(); shown.delete(id); }
      for (const candidate of running) {
        const id = candidate.candidate_id;
        if (!shown.has(id)) shown.set(id, chartsOf(live, id, id));
        if (!asked.has(id)) before(id).catch(() => {});
        const points = store.series.get(id) ?? [], planned = points.at(-1)?.planned ?? 0;
        const params = Object.entries(candidate.parameters).map(([name, value]) => `${label(name)} ${short(value)}`).join(", ");
        draw(store, shown.get(id), points, planned, `${candidate.state} on ${candidate.worker ?? "–"}, attempt ${candidate.attempt}; ${params}`);
      }
      if (!running.length && !live.children.length) live.append(el("p", { class: "quiet" }, "No run goes on."));
      else if (running.length) live.querySelector(":scope > p")?.remove();
      finished().catch((error) => replace(named, el("p", {}, error.message)));
    },
  };
}

const rowsOf = ({ attempt, planned_steps: planned, points }) => points.step.map((step, i) => ({
  attempt, planned, step, twist_deg: points.twist_deg[i], sigma_deg: points.sigma_deg[i], temperature_k: points.temperature_k[i],
  order_lower: points.order_lower[i], order_upper: points.order_upper[i], reason: points.reason[i],
}));

function endOf(store, id) {
  const row = (store.columns.candidate_id ?? []).indexOf(id);
  if (row < 0) return "";
  const at = (name) => store.columns[name][row];
  const end = { settled: "ended early, settled", hopeless: "ended early, hopeless", completed: "ran to its end", cancelled: "cancelled" }[at("ended")] ?? "";
  return [at("outcome"), end, at("twist_deg") === null ? at("reason") : `${number(at("twist_deg"))}°`].filter(Boolean).join("; ");
}

function draw(store, charts, points, planned, words) {
  charts.words.textContent = words;
  const xRange = [0, planned || points.at(-1)?.step || 1], step = points.map((p) => p.step), blue = ink("blue"), red = ink("red");
  const sigma = points.filter((p) => p.twist_deg !== null && p.sigma_deg !== null);
  const bands = store.summary.targets.map((t) => ({ low: t.twist_deg - t.tolerance_deg, high: t.twist_deg + t.tolerance_deg }));
  const last = points.filter((p) => p.twist_deg !== null).at(-1);
  charts.twist.set({
    xRange, yRange: [0, 30], bands, lines: [
      ...sigma.map((p) => ({ x: [p.step, p.step], y: [p.twist_deg - p.sigma_deg, p.twist_deg + p.sigma_deg], colour: blue, width: 1 })),
      { x: step, y: points.map((p) => p.twist_deg), colour: blue },
    ],
    points: points.filter((p) => p.twist_deg !== null).map((p) => ({ x: p.step, y: p.twist_deg, colour: blue, size: 2.5, words: `step ${p.step}: ${number(p.twist_deg)}° ± ${number(p.sigma_deg)}°` })),
    said: last ? `Twist ${number(last.twist_deg)} degrees at step ${last.step}` : "No twist yet",
  });
  charts.order.set({ xRange, yRange: [0, 1.02], lines: [
    { x: step, y: points.map((p) => p.order_lower), colour: blue }, { x: step, y: points.map((p) => p.order_upper), colour: red, dash: [5, 3] },
  ], said: "Lower layer solid, upper layer dashed" });
  charts.heat.set({ xRange, lines: [{ x: step, y: points.map((p) => p.temperature_k), colour: ink("green") }] });
}
