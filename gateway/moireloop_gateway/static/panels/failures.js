// Attempts that failed and results without a twist, with the words of LAMMPS or of the analyzer.

import { get } from "../api.js";
import { el, refresh, table, wide } from "../dom.js";
import { clock } from "../format.js";

export const title = "Failures";

export function mount(root, { store }) {
  let seen = "";
  async function show() {
    seen = store.summary.last_id;
    const { attempts, results } = await get(`${store.path}/failures`);
    const rows = (results.candidate_id ?? []).map((id, i) => ({ id, outcome: results.outcome[i], reason: results.reason[i], worker: results.worker[i], at_s: results.logged_s[i] }));
    refresh(root,
      wide(`Attempts that failed (${attempts.length})`, attempts.length ? table("Attempts that failed", [
        { title: "when", cell: (a) => clock(a.at_s) }, { title: "candidate", plain: true, cell: (a) => a.candidate_id }, { title: "attempt", number: true, cell: (a) => String(a.attempt) },
        { title: "worker", cell: (a) => a.worker }, { title: "charged", cell: (a) => (a.charged ? "yes" : "no, given back") }, { title: "reason", long: true, cell: (a) => el("pre", {}, a.reason) },
      ], attempts.reverse()) : el("p", { class: "quiet" }, "No attempt has failed.")),
      el("div", { style: "height:14px" }),
      wide(`Results without a twist (${rows.length})`, rows.length ? table("Results without a twist", [
        { title: "when", cell: (r) => clock(r.at_s) }, { title: "candidate", cell: (r) => el("a", { href: `#/${store.key}/runs/${r.id}` }, r.id) },
        { title: "outcome", cell: (r) => r.outcome }, { title: "worker", cell: (r) => r.worker }, { title: "reason", long: true, cell: (r) => el("pre", {}, r.reason ?? "") },
      ], rows.reverse()) : el("p", { class: "quiet" }, "Every result has a twist.")));
  }
  return { update() { if (seen !== store.summary.last_id) show().catch(() => {}); } };
}
