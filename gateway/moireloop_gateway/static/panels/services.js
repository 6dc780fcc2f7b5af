// Services, counters, and the ends of their logs.

import { get } from "../api.js";
import { card, el, fill, refresh, replace, table, wide } from "../dom.js";
import { clock } from "../format.js";

export const title = "Services";

export function mount(root, { store }) {
  const services = el("div", {}), counters = el("div", {}), text = el("pre", { tabindex: "0", role: "region", "aria-label": "end of the log" });
  const pick = el("select", { onchange: () => tail() });
  const logs = el("div", {}, el("div", { class: "bar" }, el("label", {}, el("span", {}, "service"), pick), el("button", { type: "button", onclick: () => tail() }, "Read again")), text);
  replace(root, el("div", { class: "grid" }, card("Services", services), card("Counters", counters)), el("div", { style: "height:14px" }),
    wide("Logs", logs));

  async function tail() {
    if (!pick.value) return;
    const body = await get(`${store.path}/logs/${encodeURIComponent(pick.value)}`);
    text.textContent = body.text || "The log is empty.";
    text.scrollTop = text.scrollHeight;
  }
  if (store.summary.absent) { replace(logs, el("p", { class: "quiet" }, `No logs to show: ${store.summary.absent}.`)); pick.value = ""; }
  get(`${store.path}/logs`).then((body) => { fill(pick, body.services.map((name) => [name, name])); return tail(); }).catch(() => {});
  const timer = setInterval(() => store.summary?.phase === "live" && tail().catch(() => {}), 4000);
  return {
    close: () => clearInterval(timer),
    update() {
      const s = store.summary, running = s.phase === "live";
      refresh(services, table("Services", [
        { title: "service", cell: ([name]) => name },
        { title: "state", cell: ([name, one]) => (running ? s.service_states[name] ?? one.state : one.state) },
        { title: "since", cell: ([, one]) => clock(one.at_s) }, { title: "reason", cell: ([, one]) => one.reason ?? "" },
      ], Object.entries(s.services)));
      const counts = Object.entries(s.counters);
      refresh(counters, counts.length ? table("Counters", [
        { title: "what", cell: ([name]) => name.replaceAll("_", " ") }, { title: "count", number: true, cell: ([, value]) => value.toLocaleString("en") },
      ], counts) : el("p", { class: "quiet" }, running ? "Nothing was counted." : "Counters are shown while the campaign runs."));
    },
  };
}
