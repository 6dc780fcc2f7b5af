// All results in a table that draws only the rows in sight; filter, order, download.

import { el, refresh, replace, wide } from "../dom.js";
import { label, number, short } from "../format.js";

export const title = "Results";

const ROW = 28, EXTRA = 8;

export function mount(root, { store, go }) {
  const filter = el("input", { type: "search", placeholder: "c0001, measured, worker-0 …", oninput: () => { arrange(); draw(); } });
  const from = el("input", { type: "number", step: "0.1", oninput: () => { arrange(); draw(); } }), to = el("input", { type: "number", step: "0.1", oninput: () => { arrange(); draw(); } });
  const count = el("span", { class: "quiet", role: "status" }), files = el("span", { style: "display:flex;gap:8px" });
  const head = el("thead", {}), above = el("tr", { "aria-hidden": "true" }), body = el("tbody", {}), below = el("tr", { "aria-hidden": "true" });
  const place = el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Results", onscroll: () => draw() }, el("table", { "aria-label": "Results" }, head, body));
  replace(root, wide("Results", el("div", { class: "bar" },
    el("label", {}, el("span", {}, "with these words"), filter), el("label", {}, el("span", {}, "twist from (°)"), from), el("label", {}, el("span", {}, "to (°)"), to),
    files, count), place));
  let rows = [], order = { name: "id", down: true };

  const columns = () => [
    { name: "candidate_id", words: "candidate" }, { name: "outcome", words: "outcome" }, { name: "twist_deg", words: "twist (°)", digits: 2 }, { name: "sigma_deg", words: "σ (°)", digits: 3 },
    ...store.parameters.map((name) => ({ name: `parameter.${name}`, words: label(name), digits: null })),
    { name: "order_upper", words: "order, upper", digits: 3 }, { name: "ended", words: "ended" }, { name: "md_s", words: "MD (s)", digits: 1 },
    { name: "strategy", words: "strategy" }, { name: "worker", words: "worker" }, { name: "reason", words: "reason" },
  ];

  function arrange() {
    const words = filter.value.trim().toLowerCase().split(/\s+/).filter(Boolean), c = store.columns;
    const low = from.value === "" ? -Infinity : Number(from.value), high = to.value === "" ? Infinity : Number(to.value), bounded = from.value !== "" || to.value !== "";
    rows = [];
    for (let row = 0; row < store.total; row += 1) {
      const twist = c.twist_deg[row];
      if (bounded && (twist === null || twist < low || twist > high)) continue;
      if (words.length) {
        const text = `${c.candidate_id[row]} ${c.outcome[row]} ${c.worker[row]} ${c.strategy[row]} ${c.ended[row]} ${c.reason[row] ?? ""}`.toLowerCase();
        if (!words.every((word) => text.includes(word))) continue;
      }
      rows.push(row);
    }
    const column = c[order.name];
    if (order.name !== "id") rows.sort((a, b) => compare(column[a], column[b]) * (order.down ? -1 : 1));
    else if (order.down) rows.reverse();
    count.textContent = `${rows.length} of ${store.total}${store.isReading ? ", still reading" : ""}`;
  }

  function heads() {
    refresh(head, el("tr", {}, columns().map(({ name, words, digits }) => el("th", {
      scope: "col", class: digits === undefined ? null : "number", "aria-sort": order.name === name ? (order.down ? "descending" : "ascending") : "none",
    }, el("button", { type: "button", onclick: () => { order = { name, down: order.name === name ? !order.down : false }; arrange(); heads(); draw(); } },
      words + (order.name === name ? (order.down ? " ↓" : " ↑") : ""))))));
  }

  function draw() {
    const first = Math.max(0, Math.floor(place.scrollTop / ROW) - EXTRA), last = Math.min(rows.length, first + Math.ceil((place.clientHeight || 600) / ROW) + 2 * EXTRA);
    above.style.height = `${first * ROW}px`;
    below.style.height = `${(rows.length - last) * ROW}px`;
    const shown = columns();
    refresh(body, above, rows.slice(first, last).map((row) => el("tr", { style: `height:${ROW}px` }, shown.map(({ name, digits }) => cell(name, digits, store.columns[name]?.[row])))), below);
  }

  const cell = (name, digits, value) => {
    if (name === "candidate_id") return el("td", {}, el("a", { href: `#/${store.key}/bilayer/${value}` }, value));
    if (digits === undefined) return el("td", { style: "white-space:nowrap;max-width:340px;overflow:hidden;text-overflow:ellipsis", title: value ?? "" }, value ?? "");
    return el("td", { class: "number" }, digits === null ? short(value ?? null) : number(value, digits));
  };
  const file = (query, words) => el("a", { href: `/api/v1${store.path}/results?${query}`, download: true }, words);

  // A file has all results: while they cannot be read, there is none.
  function links() {
    const none = ["silent", "unreadable"].includes(store.summary?.phase);
    refresh(files, none ? el("span", { class: "quiet" }, "no file now: not all results can be read") : [file("format=csv", "CSV"), file("download=true", "JSON")]);
  }

  heads();
  return { update() { arrange(); draw(); links(); } };
}

function compare(a, b) {
  if (a === null || a === undefined) return b === null || b === undefined ? 0 : 1;
  if (b === null || b === undefined) return -1;
  return a < b ? -1 : a > b ? 1 : 0;
}
