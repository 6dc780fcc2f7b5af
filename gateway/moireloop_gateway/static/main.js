// The page: which campaign, which panel, and what the header says. Panels are separate modules.

import { open } from "./api.js";
import { usesTheme } from "./colours.js";
import { el, replace } from "./dom.js";
import { Store } from "./store.js";
import * as campaigns from "./panels/campaigns.js";
import * as overview from "./panels/overview.js";
import * as space from "./panels/space.js";
import * as recipes from "./panels/recipes.js";
import * as runs from "./panels/runs.js";
import * as bilayer from "./panels/bilayer.js";
import * as experiment from "./panels/experiment.js";
import * as workers from "./panels/workers.js";
import * as services from "./panels/services.js";
import * as failures from "./panels/failures.js";
import * as results from "./panels/results.js";
import * as steering from "./panels/steering.js";

const PANELS = { overview, space, recipes, runs, bilayer, experiment, workers, services, failures, results, steering };

const $ = (id) => document.getElementById(id);

const page = { store: null, opening: null, panel: null, shown: null, session: null, visit: 0 };

// Where the address leads: "#/demo/runs/c00001" is the campaign demo, its panel runs, of candidate c00001.
function place() {
  const [campaign = "", panel = "overview", chosen = ""] = location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  return { campaign, panel: PANELS[panel] ? panel : "overview", chosen };
}

export function go(campaign, panel, chosen = "") {
  location.hash = `#/${[campaign, panel, chosen].filter(Boolean).map(encodeURIComponent).join("/")}`;
}

// Reading takes time: who went on meanwhile is not taken back to where this visit began.
async function arrive() {
  const { campaign, panel, chosen } = place(), visit = (page.visit += 1), stays = () => visit === page.visit;
  page.shown?.close?.();
  page.shown = null;
  if (page.store && page.store.key !== campaign) { page.store.close(); page.store = null; }
  if (!campaign) return showCampaigns(stays);
  if (!page.store) {
    page.store = new Store(campaign);
    page.store.listeners.add(update);
    replace($("panel"), el("p", { class: "quiet" }, "Reading the campaign …"));
    page.opening = page.store.open();
  }
  try {
    await page.opening;
  } catch (error) {
    if (!stays()) return;
    page.store.close();
    page.store = null;
    return trouble(error.message);
  }
  if (stays()) show(panel, chosen);
}

async function showCampaigns(stays) {
  replace($("tabs"));
  $("name").textContent = $("role").textContent = "";
  $("state").textContent = "campaigns";
  $("state").dataset.kind = "";
  trouble("");
  const panel = el("div", {});
  replace($("panel"), panel);
  const shown = await campaigns.mount(panel, (...where) => stays() && go(...where));
  if (stays()) page.shown = shown;
  else shown?.close?.();
}

function show(name, chosen) {
  tabs(name);
  const panel = el("div", { role: "tabpanel", id: "shown", "aria-labelledby": `tab-${name}` });
  replace($("panel"), panel);
  const context = { store: page.store, session: page.session, chosen, go: (to, which) => go(page.store.key, to, which) };
  page.shown = PANELS[name].mount(panel, context);
  update();
}

function tabs(chosen) {
  replace($("tabs"), Object.entries(PANELS).map(([name, panel]) => el("button", {
    type: "button", role: "tab", id: `tab-${name}`, "aria-controls": "shown", "aria-selected": String(name === chosen),
    tabindex: name === chosen ? "0" : "-1", onclick: () => go(page.store.key, name), onkeydown: (event) => step(event, name),
  }, panel.title)));
  if (page.focusTab) $(`tab-${chosen}`).focus();
  page.focusTab = false;
  $(`tab-${chosen}`).scrollIntoView?.({ block: "nearest", inline: "nearest" });
}

function step(event, name) {
  const names = Object.keys(PANELS), at = names.indexOf(name), last = names.length - 1;
  const to = { ArrowRight: at === last ? 0 : at + 1, ArrowLeft: at === 0 ? last : at - 1, Home: 0, End: last }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  page.focusTab = true;
  go(page.store.key, names[to]);
}

function update() {
  const { store } = page;
  if (!store?.summary) return;
  const { name, phase, state, phase_reason: reason } = store.summary;
  $("name").textContent = name;
  $("role").textContent = page.session.role === "controller" && store.summary.steers ? "you may steer" : "you may look";
  document.title = `${name} – moireloop`;
  const words = !store.connected ? "reconnecting" : phase === "live" ? state : phase === "ended" ? `${state}, not running` : phase;
  $("state").dataset.kind = !store.connected || ["silent", "unreadable"].includes(phase) ? "bad" : phase === "live" ? "live" : "";
  if ($("state").textContent !== words) $("state").textContent = words;
  trouble(store.trouble || (["silent", "unreadable"].includes(phase) ? reason : ""));
  const began = performance.now();
  page.shown?.update?.();
  page.lastDrawMs = performance.now() - began;
}

function trouble(words) {
  $("trouble").hidden = !words;
  $("trouble").textContent = words ?? "";
}

function theme(name) {
  document.documentElement.dataset.theme = name;
  usesTheme(name);
  $("theme").textContent = name === "dark" ? "Light" : "Dark";
  localStorage.setItem("moireloop-theme", name);
  // Charts have the colours of the theme in which they were drawn; forms keep what was typed.
  if ($("panel").querySelector("canvas")) arrive();
  else update();
}

async function begin() {
  const preferred = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  theme(localStorage.getItem("moireloop-theme") ?? preferred);
  $("theme").onclick = () => theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
  try {
    page.session = await open();
  } catch (error) {
    return trouble(error.message);
  }
  window.addEventListener("hashchange", arrive);
  await arrive();
}

window.moireloop = page;
begin();
