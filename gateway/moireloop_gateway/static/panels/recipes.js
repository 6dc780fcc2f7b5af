// The best recipes for each target, and how surely each hits again.

import { get } from "../api.js";
import { el, refresh, replace, table, wide } from "../dom.js";
import { label, number, percent, short, withError } from "../format.js";

export const title = "Recipes";

export function mount(root, { store }) {
  let seen = "", asking = false;

  async function show() {
    asking = true;
    seen = known(store);
    try {
      const { targets } = await get(`${store.path}/recipes?limit=40`);
      refresh(root, targets.map(({ target, recipes }) => wide(`${number(target.twist_deg, 2)}° ± ${number(target.tolerance_deg, 2)}°`,
        recipes.length ? table(`Recipes for ${target.twist_deg} degrees`, columns(store), recipes) : el("p", { class: "quiet" }, store.isReading ? "Reading the campaign …" : "No result with a twist yet."))));
    } catch (error) {
      replace(root, el("p", {}, error.message));
    }
    asking = false;
  }
  replace(root, el("p", { class: "quiet" }, "Ranking the recipes …"));
  return { update() { if (!asking && seen !== known(store)) show(); } };
}

const known = (store) => `${store.total} ${store.isReading}`;

const columns = (store) => [
  { title: "recipe", cell: (r) => el("a", { href: `#/${store.key}/bilayer/${r.nearest}` }, r.recipe) },
  { title: "cluster", cell: (r) => r.cluster ?? "" },
  { title: "twist", plain: true, cell: (r) => withError(r.twist_deg, r.sigma_deg) },
  { title: "off", number: true, cell: (r) => `${number(r.regret_deg)}°` },
  { title: "hits / runs", number: true, cell: (r) => `${r.hits} / ${r.runs}` },
  { title: "again", plain: true, cell: (r) => again(r) },
  ...store.parameters.map((name) => ({ title: label(name), number: true, cell: (r) => short(r.parameters[name]) })),
];

// The interval of the probability that a further run hits, as words and as a bar.
function again(recipe) {
  if (!recipe.again_trials) return recipe.hits ? "not repeated" : "";
  const words = `${recipe.again_hits} of ${recipe.again_trials}, ${percent(recipe.again_low)} to ${percent(recipe.again_high)}`;
  const bar = el("span", { "aria-hidden": "true", style: "display:block;height:6px;background:var(--line);border-radius:3px;min-width:90px" },
    el("span", { style: `display:block;height:6px;border-radius:3px;background:var(--blue);margin-left:${100 * recipe.again_low}%;width:${100 * (recipe.again_high - recipe.again_low)}%` }));
  return el("span", {}, words, bar);
}
