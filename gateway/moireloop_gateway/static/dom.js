// Elements made in one line. Text is always text: nothing that a campaign says becomes HTML.

export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

export const card = (title, ...children) => el("section", { class: "card" }, el("h2", {}, title), ...children);

export const wide = (title, ...children) => el("section", { class: "card wide" }, el("h2", {}, title), ...children);

const kind = ({ number, plain, long }) => (number ? "number" : plain ? "plain" : long ? "long" : null);

// A table of rows; columns are {title, number?, plain?, long?, cell(row)}, a cell is text or an element. Plain ones stay on
// one line. On a narrow page a table with a long column shows each row as a block: its short cells with their titles, and
// the long ones below them.
export function table(caption, columns, rows) {
  const head = columns.map((column) => el("th", { scope: "col", class: column.number ? "number" : null }, column.title));
  const body = rows.map((row) =>
    el("tr", { role: "row" }, columns.map((column) => el("td", {
      role: "cell", class: kind(column), "data-title": column.title,
    }, column.cell(row) ?? "–"))));
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    el("table", { role: "table", "aria-label": caption, class: columns.some((column) => column.long) ? "blocks" : null }, el("thead", {}, el("tr", {}, head)), el("tbody", {}, body)));
}

export function replace(node, ...children) {
  node.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined));
}

// For what is shown again with each result: what looks the same is not touched, and the keyboard's place stays.
export function refresh(node, ...children) {
  const fresh = children.flat().filter((child) => child !== null && child !== undefined);
  const same = fresh.length === node.childNodes.length && fresh.every((child, i) => child.isEqualNode?.(node.childNodes[i]));
  if (same) return;
  const back = placeOfKeyboard(node);
  node.replaceChildren(...fresh);
  back();
}

// Remembers what has the focus within a node and how far its regions are scrolled; returns what restores both.
function placeOfKeyboard(node) {
  const held = node.contains(document.activeElement) ? document.activeElement : null;
  const alike = () => [...node.querySelectorAll(held.tagName)].filter((one) => one.tabIndex === held.tabIndex);
  const at = held ? alike().indexOf(held) : -1, scrolled = [...node.querySelectorAll(".scroll")].map((one) => one.scrollTop);
  return () => {
    [...node.querySelectorAll(".scroll")].forEach((one, i) => { one.scrollTop = scrolled[i] ?? 0; });
    if (at >= 0) (alike().find((one) => one.textContent === held.textContent) ?? alike()[at])?.focus({ preventScroll: true });
  };
}

// Choices that stay what they are while their options change.
export function fill(select, options, chosen = select.value) {
  const known = options.map(([value]) => value);
  if (select.dataset.known !== JSON.stringify(options)) {
    select.dataset.known = JSON.stringify(options);
    replace(select, options.map(([value, words]) => el("option", { value }, words)));
  }
  select.value = known.includes(chosen) ? chosen : known[0] ?? "";
}
