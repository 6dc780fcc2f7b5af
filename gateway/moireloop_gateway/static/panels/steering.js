// Steering: a form for each request of the gateway's table, and a question before each is sent.

import { get, steer } from "../api.js";
import { card, el, refresh, replace, table } from "../dom.js";
import { label, short } from "../format.js";

export const title = "Steer";

const REQUESTER = "moireloop-requester";

export function mount(root, { store, session }) {
  const may = session.role === "controller" && store.summary.steers, said = el("p", { class: "said", role: "status", "aria-live": "polite" }), forms = el("div", { class: "grid" }), queue = el("div", {});
  replace(root, may ? said : el("p", {}, store.summary.steers ? "Your link lets you look. The controller's link steers." : "This gateway has an observer's grant: it may look."), may ? nameField() : null, forms, el("div", { style: "height:14px" }), card("Candidates without a result", queue));
  get("/requests").then(({ requests }) => replace(forms, requests.map((request) => form(store, request, may, said)))).catch((error) => { said.textContent = error.message; });
  return {
    update() {
      refresh(queue, store.candidates.length ? table("Candidates without a result", [
        { title: "candidate", cell: (c) => c.candidate_id }, { title: "state", cell: (c) => c.state }, { title: "attempt", cell: (c) => String(c.attempt) },
        { title: "strategy", cell: (c) => c.strategy }, ...store.parameters.map((name) => ({ title: label(name), number: true, cell: (c) => short(c.parameters[name]) })),
      ], store.candidates) : el("p", { class: "quiet" }, "None."));
    },
  };
}

function form(store, request, may, said) {
  const fields = Object.entries(request.schema.properties ?? {}).filter(([name]) => name !== "requester").flatMap(([name, schema]) => inputs(store, request, name, schema));
  const send = el("button", { type: "submit", class: request.danger ? "danger" : null, disabled: !may }, request.name);
  const node = el("form", {
    "aria-label": request.name,
    onsubmit: async (event) => {
      event.preventDefault();
      said.textContent = "";
      let body;
      try {
        body = bodyOf(fields);
      } catch (error) {
        said.textContent = `${request.name}: ${error.message}`;
        return;
      }
      try {
        if (!(await asked(store, request, body))) return;
        said.textContent = `${request.name}: accepted`;
      } catch (error) {
        said.textContent = `${request.name}: ${error.message}`;
      }
    },
  }, el("p", { class: "quiet" }, request.summary), fields.map((field) => el("label", {}, el("span", {}, field.words), field.input)), send);
  return card(request.name, node);
}

// Fields of a form: the path of each in the request's body, its input, and how its text is read.
function inputs(store, request, name, schema) {
  const required = (request.schema.required ?? []).includes(name), kind = kindOf(schema);
  if (name === "parameters") {
    return store.parameters.map((parameter) => {
      const [low, high] = store.summary.space[parameter];
      return { path: [name, parameter], kind: "number", words: `${label(parameter)}, ${short(low)} to ${short(high)}`, input: el("input", { name: parameter, type: "number", step: "any", min: low, max: high, value: short((low + high) / 2), required: true }) };
    });
  }
  if (name === "space" || name === "targets") {
    const now = name === "space" ? store.summary.space : store.summary.targets.map((t) => ({ twist_deg: t.twist_deg, tolerance_deg: t.tolerance_deg }));
    return [{ path: [name], kind: "json", words: `${label(name)} (JSON)`, input: el("input", { name, type: "text", value: JSON.stringify(now), required: true }) }];
  }
  const preset = name === "candidate_id" && request.name === "propose" ? `by-hand-${Date.now().toString(36)}` : schema.default ?? "";
  const value = typeof preset === "object" ? "" : preset;
  const type = kind === "number" || kind === "integer" ? "number" : "text", words = schema.description ?? label(name);
  return [{ path: [name], kind, words: `${words}${kind === "json" ? " (JSON)" : ""}`, input: el("input", { name, type, step: kind === "integer" ? "1" : "any", value: String(value), required }) }];
}

function kindOf(schema) {
  const kinds = schema.type ? [schema.type] : (schema.anyOf ?? []).map((one) => one.type);
  return kinds.find((kind) => ["number", "integer", "string"].includes(kind)) ?? "json";
}

function bodyOf(fields) {
  const body = {};
  for (const { path, kind, input } of fields) {
    if (input.value === "") continue;
    const value = kind === "string" ? input.value : kind === "json" ? JSON.parse(input.value) : Number(input.value);
    if (path.length === 2) (body[path[0]] ??= {})[path[1]] = value;
    else body[path[0]] = value;
  }
  return body;
}

// Sends a request under the name that the log shall have, once it is confirmed; returns whether it was.
export async function asked(store, request, content, name = request.name) {
  const requester = localStorage.getItem(REQUESTER), body = requester ? { ...content, requester } : content;
  if (!(await confirmed(request, body))) return false;
  await steer(store.key, name, body);
  store.refreshSoon();
  return true;
}

function nameField() {
  const keep = () => localStorage.setItem(REQUESTER, input.value.trim());
  const input = el("input", { name: "requester", type: "text", maxlength: "100", autocomplete: "name", placeholder: "dashboard", value: localStorage.getItem(REQUESTER) ?? "", onchange: keep });
  return el("label", { class: "signed" }, el("span", {}, "your name, for the log"), input);
}

// The way back has the focus where a request cannot be taken back: Enter pressed twice sends nothing.
function confirmed(request, body) {
  const dialog = el("dialog", { "aria-label": `Confirm ${request.name}` });
  return new Promise((resolve) => {
    const close = (answer) => { dialog.close(); dialog.remove(); resolve(answer); };
    dialog.addEventListener("cancel", () => close(false));
    dialog.append(el("h2", {}, `${request.name}?`), el("p", {}, request.danger ?? request.summary), el("pre", {}, JSON.stringify(body, null, 2)),
      el("div", { class: "bar" }, el("button", { type: "button", autofocus: Boolean(request.danger), onclick: () => close(false) }, "Back"),
        el("button", { type: "button", class: request.danger ? "danger" : null, autofocus: !request.danger, onclick: () => close(true) }, `Yes, ${request.name}`)));
    document.body.append(dialog);
    dialog.showModal();
  });
}
