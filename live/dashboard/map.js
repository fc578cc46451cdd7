// The map: land in dots, regions with their load, gateways, and what they send each other.

import { NOTHING, draw, find, keep, known, number, percent, say, set, speak } from "./parts.js";

const FLOWS = 120;
const HERE_DEGREES = 0.5;
const NEAR = 26;
const SIDES = [
  [1, 0, "start"], [-1, 0, "end"], [0, 1, "middle"], [0, -1, "middle"],
  [0.75, 0.9, "start"], [0.75, -0.9, "start"], [-0.75, 0.9, "end"], [-0.75, -0.9, "end"],
];

const overlap = (a, b) => a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];

/** More is sent to it than it has room for. */
export const over = ({ load_mw: load, work_mw: work, capacity_mw: capacity }) => load + work > capacity * (1 + 1e-6);

export class WorldMap {
  constructor(place) {
    this.place = place;
    this.state = null;
    this.chosen = null;
    this.capacity = new Map();
    this.land = draw("path", { class: "land" });
    this.flows = draw("g");
    this.gateways = draw("g");
    this.regions = draw("g");
    this.names = draw("g", { class: "names" });
    this.svg = draw("svg", { width: "100%" }, this.land, this.flows, this.regions, this.gateways, this.names);
    place.append(this.svg);
    new ResizeObserver(() => this.draw()).observe(place);
    place.addEventListener("pointermove", (event) => this.choose(this.nearest(event.offsetX, event.offsetY)));
    place.addEventListener("pointerleave", () => this.choose(null));
    place.addEventListener("blur", () => this.choose(null));
    place.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
      if (event.key === "Escape") this.choose(null);
      if (!step || !this.state) return;
      event.preventDefault();
      const places = this.places();
      const at = places.findIndex(({ name, what }) => this.chosen === `${what} ${name}`);
      const next = at < 0 ? (step > 0 ? 0 : places.length - 1) : (at + step + places.length) % places.length;
      this.choose(`${places[next].what} ${places[next].name}`);
      speak(find("map-readout").textContent);
    });
  }

  /** Where this fleet is, and what land there is: `view` is west, east, south, north, `columns` dots across. */
  on({ view, columns, land }) {
    this.capacity.clear();
    this.chosen = null;
    this.view = view;
    const [west, east] = view;
    set(this.land, {
      d: land.map(([lon, lat]) => `M${lon} ${-lat}h0`).join(""),
      "stroke-width": (0.66 * (east - west) / columns).toFixed(3),
    });
    this.draw();
  }

  show(state) {
    this.state = state;
    // A region that is down has no capacity; its circle stays as large as it was.
    for (const { name, capacity_mw: mw } of state.regions) if (mw > 0) this.capacity.set(name, mw);
    this.draw();
  }

  choose(key) {
    if (key === this.chosen) return;
    this.chosen = key;
    this.draw();
  }

  places() {
    const { regions, gateways } = this.state;
    return [
      ...regions.map((each) => ({ ...each, what: "region" })),
      ...gateways.map((each) => ({ ...each, what: "gateway" })),
    ];
  }

  at({ lon, lat }) {
    const [west, , , north] = this.view;
    return [(lon - west) * this.scale, (north - lat) * this.scale];
  }

  nearest(x, y) {
    if (!this.state || !this.view) return null;
    let [best, least] = [null, NEAR ** 2];
    for (const each of this.places()) {
      const [px, py] = this.at(each);
      const far = (px - x) ** 2 + (py - y) ** 2;
      if (far < least) [best, least] = [`${each.what} ${each.name}`, far];
    }
    return best;
  }

  draw() {
    const width = this.place.clientWidth;
    if (!this.view || !width) return;
    const [west, east, south, north] = this.view;
    this.scale = width / (east - west);
    this.height = (north - south) * this.scale;
    set(this.svg, { height: this.height.toFixed(1) });
    set(this.land, { transform: `scale(${this.scale.toFixed(5)}) translate(${-west} ${north})` });
    if (!this.state) return;
    const { regions, gateways } = this.state;
    this.largest = Math.max(...this.capacity.values(), 1e-9);
    this.most = Math.min(Math.max(width * Math.min(0.022, 0.13 / Math.sqrt(regions.length)), 5), 26);
    this.drawFlows(width);
    keep(this.gateways, gateways, (each) => each.name, () => draw("path", { class: "gateway" }), (node, each) => {
      const [x, y] = this.at(each);
      const half = Math.min(Math.max(width / 200, 3), 5) * (gateways.length > 40 ? 0.6 : 1);
      set(node, { d: `M${x} ${y - half}L${x + half} ${y}L${x} ${y + half}L${x - half} ${y}Z` });
      node.classList.toggle("chosen", this.chosen === `gateway ${each.name}`);
    });
    keep(this.regions, regions, (each) => each.name,
      () => draw("g", {}, draw("circle", { class: "room" }), draw("circle", { class: "work" }),
        draw("circle", { class: "load" }), draw("path", { class: "cross" })),
      (node, each) => this.drawRegion(node, each));
    this.drawNames(width);
    this.tell();
  }

  room(each) {
    return this.radius(this.capacity.get(each.name) ?? this.largest / 3);
  }

  radius(mw) {
    return this.most * Math.sqrt(Math.max(mw ?? 0, 0) / this.largest);
  }

  drawRegion(node, each) {
    const [x, y] = this.at(each).map((value) => value.toFixed(1));
    const room = Math.max(this.room(each), 4);
    set(node, { transform: `translate(${x} ${y})` });
    node.classList.toggle("chosen", this.chosen === `region ${each.name}`);
    const [outer, work, inner, cross] = node.childNodes;
    set(outer, { r: room.toFixed(2), class: `room${each.healthy ? "" : " down"}${over(each) ? " over" : ""}` });
    const filled = (mw) => (each.healthy ? Math.min(this.radius(mw), room).toFixed(2) : 0);
    set(work, { r: each.work_mw > 0 ? filled(each.load_mw + each.work_mw) : 0 });
    set(inner, { r: filled(each.load_mw) });
    const arm = Math.min(room * 0.55, 6).toFixed(1);
    set(cross, { d: each.healthy ? "" : `M-${arm} -${arm}L${arm} ${arm}M${arm} -${arm}L-${arm} ${arm}` });
  }

  drawFlows(width) {
    const { regions, gateways, flows } = this.state;
    const to = new Map(regions.map((each) => [each.name, each]));
    const from = new Map(gateways.map((each) => [each.name, each]));
    const far = flows.filter(({ gateway, region }) => {
      const [a, b] = [from.get(gateway), to.get(region)];
      return Math.abs(a.lat - b.lat) + Math.abs(a.lon - b.lon) > HERE_DEGREES;
    }).sort((a, b) => a.mw - b.mw).slice(-FLOWS);
    const widest = far.at(-1)?.mw ?? 1;
    const wide = Math.min(Math.max(width / 170, 1.8), 5.5);
    keep(this.flows, far, ({ gateway, region }) => `${gateway}\n${region}`, () => draw("path", { class: "flow" }),
      (node, { gateway, region, mw }) => {
        const [x0, y0] = this.at(from.get(gateway));
        const [x1, y1] = this.at(to.get(region));
        const y = Math.min(Math.max((y0 + y1) / 2 - 0.16 * (x1 - x0), 4), this.height - 4);
        const points = [x0, y0, (x0 + x1) / 2 + 0.16 * (y1 - y0), y, x1, y1].map((value) => value.toFixed(1));
        const [ax, ay, bx, by, cx, cy] = points;
        set(node, {
          d: `M${ax} ${ay}Q${bx} ${by} ${cx} ${cy}`, "stroke-width": Math.max(0.6, wide * mw / widest).toFixed(2),
        });
        const mine = [`gateway ${gateway}`, `region ${region}`].includes(this.chosen);
        node.classList.toggle("chosen", mine);
        node.classList.toggle("others", this.chosen !== null && !mine);
      });
  }

  /** Names beside their circles, where they cover neither circles nor each other. */
  drawNames(width) {
    const { regions } = this.state;
    const size = width < 500 ? 9.5 : 11.5;
    const blocked = regions.map((each) => {
      const [x, y] = this.at(each);
      const room = this.room(each);
      return [x - room, y - room, x + room, y + room];
    });
    const placed = [];
    for (const each of [...regions].sort((a, b) => this.room(b) - this.room(a))) {
      const [x, y] = this.at(each);
      const wide = each.name.length * size * 0.64;
      const room = Math.max(this.room(each), 4) + 3;
      for (const [right, down, anchor] of SIDES) {
        const px = x + right * room;
        const py = y + down * (room + (right ? 0 : size * 0.5));
        const left = anchor === "start" ? px : anchor === "end" ? px - wide : px - wide / 2;
        const box = [left, py - size * 0.55, left + wide, py + size * 0.55];
        const inside = box[0] >= 0 && box[1] >= 0 && box[2] <= width && box[3] <= this.height;
        const taken = [...blocked, ...placed.map((other) => other.box)];
        if (!inside || taken.some((other) => overlap(box, other))) continue;
        placed.push({ name: each.name, x: px, y: py + size * 0.35, anchor, box });
        break;
      }
    }
    keep(this.names, placed, (each) => each.name, () => draw("text"), (node, { name, x, y, anchor }) => {
      set(node, { x: x.toFixed(1), y: y.toFixed(1), "text-anchor": anchor, "font-size": size });
      say(node, name);
    });
  }

  tell() {
    const { regions, gateways, flows } = this.state;
    const up = regions.filter((each) => each.healthy).length;
    const demand = gateways.map((each) => each.demand_mw).filter(known).reduce((a, b) => a + b, 0);
    const whole = `${up} of ${regions.length} regions up, `
      + `${number(demand)} MW asked for at ${gateways.length} gateways.`;
    set(this.place, { "aria-label": `Map. ${whole} Arrow keys go from place to place.` });
    const readout = find("map-readout");
    const chosen = this.places().find(({ what, name }) => this.chosen === `${what} ${name}`);
    if (!chosen) return say(readout, `${whole} Point at a place, or step with arrow keys.`);
    const other = chosen.what === "region" ? "gateway" : "region";
    const ends = flows.filter((each) => each[chosen.what] === chosen.name).sort((a, b) => b.mw - a.mw)
      .map((each) => `${each[other]} ${number(each.mw)}`).join(", ") || NOTHING;
    if (chosen.what === "gateway") {
      return say(readout, `${chosen.name}: ${number(chosen.demand_mw)} MW asked for; to, MW: ${ends}`);
    }
    const { name, healthy, why, load_mw: load, work_mw: work, capacity_mw: capacity, share, price } = chosen;
    const how = healthy ? (over(chosen) ? "up, overloaded" : "up") : `down${why ? `, ${why}` : ""}`;
    const jobs = work > 0 ? ` and ${number(work)} of jobs` : "";
    return say(readout, `${name}: ${how}, ${number(load)}${jobs} of ${number(capacity)} MW, ${percent(share)} of all requests, `
      + `${number(price)} USD/MWh; from, MW: ${ends}`);
  }
}
