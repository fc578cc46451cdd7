// Lines over time, and bars of the last solves.

import { draw, known, make, moment, number, say, set, speak, utc } from "./parts.js";

const HEIGHT = 190;
const EDGE = { left: 46, right: 12, top: 10, bottom: 24 };
const HOUR = 3600e3;
const STEPS = [1, 2, 3, 6, 12, 24, 48, 96, 168, 336, 720, 1440, 4320].map((hours) => hours * HOUR);

/** Some round values from 0 up to `most`. */
function rounds(most, count) {
  const rough = most / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].find((times) => times * power >= rough) * power;
  return Array.from({ length: Math.floor(most / step + 1e-9) + 1 }, (_, index) => index * step);
}

const short = (value) => {
  if (value === 0) return "0";
  const [power, letter] = [[1e9, "G"], [1e6, "M"], [1e3, "k"]].find(([p]) => value >= p) ?? [1, ""];
  return `${Number((value / power).toPrecision(3))}${letter}`;
};

/** A figure with lines of [utc, value...] rows; pointer and arrow keys read it, and the latest is read else. */
export class Lines {
  /** `names` of the lines; `told` makes a sentence of a row; `axis` a label of a value. */
  constructor(place, { colour, names, told, axis = short }) {
    this.told = told;
    this.axis = axis;
    this.names = names;
    this.rows = [];
    this.at = null;
    this.caption = make("figcaption");
    const items = names.map((name, index) => make("li", {},
      draw("svg", { width: 28, height: 12, "aria-hidden": "true" },
        draw("line", { class: `line line-${index} ${colour}`, x1: 1, y1: 6, x2: 27, y2: 6 })), name));
    this.grid = draw("g", { class: "grid" });
    this.lines = names.map((_, index) => draw("path", { class: `line line-${index} ${colour}` }));
    this.ends = names.map((_, index) => draw("circle", { class: `end ${index ? "other" : colour}`, r: 3 }));
    this.cursor = draw("line", { class: "cursor", y1: EDGE.top, y2: HEIGHT - EDGE.bottom });
    this.empty = draw("text", { class: "empty", x: "50%", y: HEIGHT / 2, "text-anchor": "middle" });
    this.svg = draw("svg", { height: HEIGHT, width: "100%" },
      this.grid, ...[...this.lines].reverse(), this.cursor, ...[...this.ends].reverse(), this.empty);
    this.frame = make("div", { class: "draw", tabindex: 0, role: "img" }, this.svg);
    this.readout = make("p", { class: "readout numbers" });
    this.figure = make("figure", {}, this.caption, make("ul", { class: "legend" }, ...items), this.frame,
      this.readout);
    place.append(this.figure);
    new ResizeObserver(() => this.draw()).observe(this.frame);
    this.frame.addEventListener("pointermove", (event) => this.read(this.nearest(event.offsetX)));
    this.frame.addEventListener("pointerleave", () => this.read(null));
    this.frame.addEventListener("blur", () => this.read(null));
    this.frame.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1, Home: -1e9, End: 1e9 }[event.key];
      if (!step || !this.rows.length) return;
      event.preventDefault();
      const last = this.rows.length - 1;
      this.read(Math.min(Math.max((this.at ?? last) + step, 0), last));
      speak(this.readout.textContent);
    });
  }

  show(title, history, empty) {
    say(this.caption, title);
    this.rows = history.map(([time, ...values]) => [utc(time), ...values]);
    say(this.empty, this.rows.length ? "" : empty);
    if (this.at !== null && this.at >= this.rows.length) this.at = null;
    this.draw();
  }

  x(time) {
    const [first, last] = this.span;
    return EDGE.left + (time - first) / (last - first) * (this.width - EDGE.left - EDGE.right);
  }

  nearest(x) {
    if (!this.rows.length || !this.span) return null;
    let best = 0;
    this.rows.forEach(([time], index) => {
      if (Math.abs(this.x(time) - x) < Math.abs(this.x(this.rows[best][0]) - x)) best = index;
    });
    return best;
  }

  read(index) {
    this.at = index;
    this.draw();
  }

  draw() {
    this.width = this.frame.clientWidth;
    const { rows } = this;
    const bottom = HEIGHT - EDGE.bottom;
    this.cursor.style.display = this.at === null ? "none" : "";
    if (!rows.length || this.width < 100) {
      this.grid.replaceChildren();
      for (const path of this.lines) path.removeAttribute("d");
      for (const end of this.ends) end.style.display = "none";
      say(this.readout, "\u00a0");
      return;
    }
    const first = rows[0][0];
    this.span = [first, Math.max(rows.at(-1)[0], first + HOUR)];
    const most = Math.max(...rows.flatMap(([, ...values]) => values.filter(known)), 0) * 1.06 || 1;
    const y = (value) => bottom - value / most * (bottom - EDGE.top);
    this.marks(y, most, bottom);
    const at = rows[this.at ?? rows.length - 1];
    this.lines.forEach((path, index) => {
      let pen = "M";
      const parts = rows.filter((row) => known(row[index + 1])).map(([time, ...values]) => {
        const part = `${pen}${this.x(time).toFixed(1)} ${y(values[index]).toFixed(1)}`;
        pen = "L";
        return part;
      });
      set(path, { d: parts.join("") });
      const value = at[index + 1];
      this.ends[index].style.display = known(value) ? "" : "none";
      if (known(value)) set(this.ends[index], { cx: this.x(at[0]).toFixed(1), cy: y(value).toFixed(1) });
    });
    set(this.cursor, { x1: this.x(at[0]).toFixed(1), x2: this.x(at[0]).toFixed(1) });
    const text = `${moment(at[0])}: ${this.told(at.slice(1))}`;
    say(this.readout, text);
    set(this.frame, { "aria-label": `${this.caption.textContent}. ${text}. Arrow keys read other times.` });
  }

  marks(y, most, bottom) {
    const nodes = rounds(most, 4).flatMap((value) => [
      draw("line", { x1: EDGE.left, x2: this.width - EDGE.right, y1: y(value), y2: y(value) }),
      Object.assign(draw("text", { x: EDGE.left - 7, y: y(value) + 4, "text-anchor": "end" }),
        { textContent: this.axis(value) }),
    ]);
    const [first, last] = this.span;
    const room = Math.max(2, Math.floor((this.width - EDGE.left) / 105));
    const step = STEPS.find((each) => (last - first) / each <= room) ?? STEPS.at(-1);
    for (let time = Math.ceil(first / step) * step; time <= last; time += step) {
      const x = this.x(time);
      const text = moment(time, { year: false });
      const anchor = x > this.width - 40 ? "end" : "middle";
      nodes.push(draw("line", { x1: x, x2: x, y1: bottom, y2: bottom + 4 }),
        Object.assign(draw("text", { x, y: HEIGHT - 5, "text-anchor": anchor }),
          { textContent: step < 24 * HOUR ? text : text.slice(0, 5) }));
    }
    this.grid.replaceChildren(...nodes);
  }
}

/** Seconds of the last solves as bars that say where weights came from; the most of them. */
export function solveBars(place, solves) {
  const [height, width] = [72, place.clientWidth];
  const svg = place.firstChild ?? place.appendChild(draw("svg", { width: "100%", height }));
  const shown = solves.slice(-50);
  const most = Math.max(...shown.map((each) => each.seconds), 1e-9);
  const pitch = Math.min(width / 50, 16);
  svg.replaceChildren(...shown.flatMap(({ seconds, outcome, slot_utc: slot }, index) => {
    const high = Math.max(seconds / most * (height - 2), 4);
    const [x, y, kind] = [index * pitch, height - high, outcome.replace(" ", "-")];
    const bar = draw("rect", { class: kind, x, y, width: pitch * 0.75, height: high, rx: 1.5 },
      Object.assign(draw("title"), { textContent: `${moment(utc(slot))}: ${outcome}, ${number(seconds)} s` }));
    const notches = { plan: 0, "last plan": 1, nearest: 2 }[outcome] ?? 0;
    const cut = Array.from({ length: notches }, (_, k) => `M${x} ${height - 3 - 4 * k}h${pitch * 0.75}`).join("");
    return notches ? [bar, draw("path", { class: "notch", d: cut })] : [bar];
  }));
  const label = `Seconds of the last ${shown.length} solves, ${number(most, 2)} at most; the table has the last.`;
  set(place, { "aria-label": label });
  return most;
}
