// Numbers as words, and nodes that are only touched where they change.

export const NOTHING = "–";
const formats = [0, 1, 2, 3].map((digits) => new Intl.NumberFormat("en-GB", {
  minimumFractionDigits: digits, maximumFractionDigits: digits,
}));

export const known = (value) => typeof value === "number" && Number.isFinite(value);

/** About four digits: 0.123, 12.34, 1,234, 12.34 M. */
export function number(value, digits = null) {
  if (!known(value)) return NOTHING;
  if (value === 0 && digits === null) return "0";
  const size = Math.abs(value);
  if (digits === null) {
    for (const [power, letter] of [[1e12, " T"], [1e9, " G"], [1e6, " M"]]) {
      if (size >= power) return formats[2].format(value / power).replace("-", "−") + letter;
    }
  }
  const shown = digits ?? (size >= 1000 ? 0 : size >= 100 ? 1 : size >= 10 ? 2 : 3);
  return formats[shown].format(value).replace("-", "−");
}

export const percent = (part, digits = 1) => (known(part) ? `${number(100 * part, digits)} %` : NOTHING);

export const unit = (name) => name.replace(/m3\b/, "m³");

export function age(seconds) {
  if (!known(seconds)) return NOTHING;
  if (seconds < 90) return `${Math.round(Math.max(seconds, 0))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${number(seconds / 3600, 1)} h` : `${number(seconds / 86400, 1)} d`;
}

export const utc = (text) => Date.parse(text);

/** 2026-01-31 12:00, or without the year. */
export function moment(time, { year = true, seconds = false } = {}) {
  const text = new Date(time).toISOString().replace("T", " ");
  return text.slice(year ? 0 : 5, seconds ? 19 : 16);
}

export const find = (id) => document.getElementById(id);

export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** To who listens to the page: only what was asked for, not what changes by itself. */
export const speak = (text) => say(find("spoken"), text);

export function set(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    const text = String(value);
    if (node.getAttribute(name) !== text) node.setAttribute(name, text);
  }
  return node;
}

export function make(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  node.append(...children);
  return set(node, attributes);
}

export function draw(name, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  node.append(...children);
  return set(node, attributes);
}

/** One child of `parent` for each item, in their order; those of the same key are kept and updated. */
export function keep(parent, items, key, create, update) {
  const before = parent.kept ?? new Map();
  const now = new Map();
  let place = parent.firstChild;
  items.forEach((item, index) => {
    const name = key(item, index);
    const node = before.get(name) ?? create(item);
    before.delete(name);
    now.set(name, node);
    update(node, item, index);
    if (node === place) place = place.nextSibling;
    else parent.insertBefore(node, place);
  });
  for (const node of before.values()) node.remove();
  parent.kept = now;
}

/**
 * Rows of cells below a head. A head is [text, text below, mark] and a cell a text, or
 * {text, mark, bar, more, title}: a `mark` names a class, a `bar` is a part of its width, and `more` of another
 * colour is what comes on top.
 */
export function table(node, head, rows, empty) {
  if (!node.tHead) node.append(make("thead", {}, make("tr")), make("tbody"));
  keep(node.tHead.rows[0], head, (_, index) => index, () => make("th", { scope: "col" }, make("span"), make("small")),
    (cell, [text, below = "", mark = ""]) => {
      say(cell.firstChild, text);
      say(cell.lastChild, below);
      set(cell, { class: mark });
    });
  const shown = rows.length ? rows : [{ key: "", cells: [{ text: empty, mark: "empty" }] }];
  keep(node.tBodies[0], shown, (row) => row.key, () => make("tr"), (line, row) => {
    keep(line, row.cells, (_, index) => index,
      (_) => make(line.childNodes.length ? "td" : "th", {}, make("span"), make("i", { "aria-hidden": "true" })),
      (cell, content, index) => {
        const { text, mark = "", bar = null, more = 0, title = "" } = typeof content === "string" ? { text: content } : content;
        say(cell.firstChild, text);
        set(cell, { class: bar === null ? mark : `${mark} barred`.trim(), title });
        if (!rows.length) set(cell, { colspan: head.length });
        else if (index === 0) set(cell, { scope: "row" });
        cell.lastChild.hidden = bar === null;
        if (bar === null) return;
        for (const [name, part] of [["--part", bar], ["--both", bar + more]]) {
          cell.lastChild.style.setProperty(name, Math.min(Math.max(part, 0), 1).toFixed(4));
        }
      });
  });
}
