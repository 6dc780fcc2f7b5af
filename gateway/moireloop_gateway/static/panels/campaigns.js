// The campaigns that the gateway was given.

import { get } from "../api.js";
import { el, refresh, replace, table, wide } from "../dom.js";
import { clock, number } from "../format.js";

export async function mount(root, go) {
  const place = el("div", {});
  replace(root, wide("Campaigns", place));
  const show = async () => {
    const { campaigns } = await get("/campaigns");
    if (campaigns.length === 1 && !mount.seen) { mount.seen = true; return go(campaigns[0].key, "overview"); }
    mount.seen = true;
    refresh(place, table("Campaigns", [
      { title: "name", cell: (c) => el("a", { href: `#/${encodeURIComponent(c.key)}` }, c.name) },
      { title: "state", cell: (c) => (c.running ? "running" : c.problem ? "unreadable" : "not running") },
      { title: "targets", cell: (c) => (c.targets ?? []).map((t) => `${number(t.twist_deg, 1)}°`).join(", ") },
      { title: "results", number: true, cell: (c) => `${c.results ?? "–"} / ${c.budget_results ?? "–"}` },
      { title: "changed", cell: (c) => clock(c.changed_s) },
      { title: "folder", long: true, cell: (c) => c.folder },
    ], campaigns));
  };
  await show();
  const timer = setInterval(() => show().catch(() => {}), 5000);
  return { close: () => clearInterval(timer) };
}
