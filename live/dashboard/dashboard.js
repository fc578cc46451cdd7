// Asks the service how it stands, about once a second, and shows it.

import { Lines, solveBars } from "./lines.js";
import { WorldMap, over } from "./map.js";
import {
  NOTHING, age, find, keep, known, make, moment, number, percent, say, set, table, unit, utc,
} from "./parts.js";

const EVERY = 1000;
const HIDDEN = 10000;
const SLOWEST = 5000;
const PATIENCE = 10000;
const COLOURS = 6;
const TILES = 4;
const SHOWN = { solves: 8, decisions: 20 };
const OPEN = ["submitted", "admitted"];
const MARKS = { critical: "■", warning: "▲", info: "●" };

const map = new WorldMap(find("map"));
const figures = new Map();
let fleet = null;
let heard = null;
let wait = EVERY;
let timer = 0;
let asking = false;

const sum = (values) => values.filter(known).reduce((a, b) => a + b, 0);
const hours = (seconds) => (seconds % 3600 ? `${number(seconds / 60, 0)} min` : `${number(seconds / 3600, 0)} h`);
const jobCounts = (state) => Object.entries(state.jobs?.counts ?? {}).filter(([, count]) => count);
const uncertified = (state) => (jobCounts(state).length ? "none while there are jobs" : "none until a slot is metered");
const title = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** How far the worst region is from the baseline's, such as −12.3 %. */
function against(worst, baseline) {
  return known(worst) && known(baseline) && baseline > 0 ? worst / baseline - 1 : null;
}

function versus(part) {
  if (part === null) return "no baseline yet";
  return `${percent(Math.abs(part))} ${part <= 0 ? "below" : "above"} the baseline`;
}

function header(state) {
  const { slot, now_utc: now, speed, scenario, policy } = state;
  say(find("policy"), `Live${policy ? ` · policy ${policy}` : ""}`);
  say(find("scenario"), scenario);
  document.title = `${scenario}, eglb live`;
  say(find("now"), `${moment(utc(now), { seconds: true })} UTC`);
  const count = slot?.number ? `slot ${slot.number}${slot.of ? ` of ${slot.of}` : ""}, ` : "";
  say(find("slot"), slot ? `· ${count}${hours(slot.seconds)} each` : "· no slot yet");
  const fast = speed === null ? "as fast as it goes" : `${number(speed, speed < 10 ? 2 : 0)} × real time`;
  say(find("speed"), speed === 1 ? "" : `· clock ${fast}`);
  const passed = slot ? (utc(now) - utc(slot.start_utc)) / 1e3 / slot.seconds : 0;
  find("passed").value = Math.min(Math.max(passed, 0), 1);
}

/** Age of a signal now, and whether it is an answer of its own. */
function reading(signal, sinceSlot) {
  return {
    ...signal,
    old: known(signal.age_s) ? signal.age_s + sinceSlot : null,
    fresh: signal.ok && !signal.fallback,
  };
}

function tiles(state, signals) {
  const { table: heading, slot, regions, certificate, alerts, footprints } = state;
  const found = [];
  const late = heading && slot && heading.age_s > 2 * slot.seconds;
  const source = heading ? heading.source : "no table yet";
  const remark = !heading ? "nothing can be routed"
    : heading.note || `version ${heading.version}, its slot began ${age(heading.age_s)} ago`;
  found.push(["Routed by", source, late ? `older than a slot: ${remark}` : remark,
    !heading || late ? "bad" : source === "plan" ? "good" : "warn"]);
  for (const [kind, { unit: name, worst, worst_region: who, baseline_worst: baseline }] of
    Object.entries(footprints).slice(0, TILES)) {
    const part = against(worst, baseline);
    found.push([`Worst ${kind} so far`, [number(worst), known(worst) ? unit(name) : ""],
      known(worst) ? `${who}; ${versus(part)}` : "no slot is settled yet", part !== null && part > 0 ? "warn" : ""]);
  }
  found.push(["Certified gap", percent(certificate?.gap, 2),
    certificate ? "at most, above the best plan of what has been" : uncertified(state), ""]);
  const down = regions.filter((each) => !each.healthy);
  found.push(["Regions up", `${regions.length - down.length} of ${regions.length}`,
    down.length ? `down: ${down.map((each) => each.name).join(", ")}` : "all of them",
    down.length ? "bad" : "good"]);
  const fresh = signals.filter((each) => each.fresh).length;
  const oldest = Math.max(...signals.map((each) => each.old).filter(known));
  found.push(["Signals that answer", signals.length ? `${fresh} of ${signals.length}` : NOTHING,
    signals.length ? `oldest value ${age(oldest)}` : "no signals yet",
    fresh < signals.length ? "warn" : signals.length ? "good" : ""]);
  const critical = alerts.filter((each) => each.level === "critical").length;
  found.push(["Alerts", String(alerts.length), alerts.length ? `${critical} critical` : "all is well",
    critical ? "bad" : alerts.length ? "warn" : "good"]);
  keep(find("tiles"), found, ([label]) => label,
    () => make("div", {}, make("dt"), make("dd", { class: "figure" }, make("span"), make("small")),
      make("dd", { class: "remark" })),
    (node, [label, figure, below, mark]) => {
      const [value, small] = Array.isArray(figure) ? figure : [figure, ""];
      set(node, { class: mark });
      say(node.childNodes[0], label);
      say(node.childNodes[1].firstChild, value);
      say(node.childNodes[1].lastChild, small);
      say(node.childNodes[2], below);
      set(node.childNodes[2], { title: below });
    });
}

function alerts(state) {
  const items = state.alerts.length ? state.alerts : [{ level: "none", what: "", text: "No alert holds." }];
  const order = ["critical", "warning", "info"];
  const sorted = [...items].sort((a, b) => order.indexOf(a.level) - order.indexOf(b.level));
  keep(find("alerts"), sorted, (each) => each.what,
    () => make("li", {}, make("span", { class: "mark", "aria-hidden": "true" }), make("div", {},
      make("p"), make("small", { class: "numbers" }))),
    (node, { level, text, what, value, threshold, since_utc: since }) => {
      set(node, { class: level });
      say(node.firstChild, MARKS[level] ?? "✓");
      say(node.lastChild.firstChild, text || what);
      const judged = known(value) && /^(inequity|drift|cost|slow)/.test(what)
        ? `; ${number(value, 2)}, alert above ${number(threshold, 2)}` : "";
      say(node.lastChild.lastChild, since ? `${level} since ${moment(utc(since))}${judged}` : "");
    });
}

function lines(state) {
  const place = find("lines");
  Object.entries(state.footprints).forEach(([kind, { unit: name, history }], index) => {
    if (!figures.has(kind)) {
      figures.set(kind, new Lines(place, {
        colour: `c${index % COLOURS + 1}`,
        names: ["worst region", "baseline's worst region"],
        told: ([worst, baseline]) => `${number(worst)} ${unit(name)}, baseline ${number(baseline)} ${unit(name)}; `
          + versus(against(worst, baseline)),
      }));
    }
    figures.get(kind).show(`${title(kind)} of the worst region, ${unit(name)}`, history ?? [], "no slot is settled yet");
  });
  if (!figures.has("")) {
    figures.set("", new Lines(place, {
      colour: "c3",
      names: ["certified running gap"],
      told: ([gap]) => `at most ${percent(gap, 2)} above the best plan of what has been`,
      axis: (part) => `${Number((100 * part).toPrecision(3))} %`,
    }));
  }
  figures.get("").show("Certified gap of the period so far", state.certificate?.history ?? [],
    uncertified(state));
}

function regions(state) {
  const kinds = Object.entries(state.footprints);
  const metered = state.regions.some((each) => Object.values(each.metered).some((value) => value > 0));
  say(find("meters-note"), metered
    ? "Drift is metered over estimated footprint of the last day; 1 is a right estimate."
    : "No meters yet: footprints are estimates.");
  const most = Math.max(...state.regions.map((each) => each.share ?? 0), 1e-9);
  const work = state.regions.some((each) => each.work_mw > 0);
  const head = [["Region"], ["State", "", "words"], ["Planned share", "of all requests"],
    ["Load", "MW"], ["Capacity", "MW"], ["Price", "USD/MWh"], ...kinds.flatMap(([kind, { unit: name }]) => [
      [`${title(kind)} metered`, unit(name)], ["estimated", unit(name)], ["drift", "×"]])];
  table(find("regions"), head, state.regions.map((each) => ({
    key: each.name,
    cells: [
      each.name,
      each.healthy ? { text: "✓ up", mark: "good words" }
        : { text: "✕ down", mark: "bad words", title: each.why },
      { text: percent(each.share), bar: known(each.share) ? each.share / most : 0 },
      {
        text: `${number(each.load_mw)}${work ? ` + ${number(each.work_mw)}` : ""}${over(each) ? " ▲" : ""}`,
        mark: over(each) ? "bad" : "",
        bar: each.capacity_mw > 0 ? each.load_mw / each.capacity_mw : 0,
        more: each.capacity_mw > 0 ? each.work_mw / each.capacity_mw : 0,
      },
      number(each.capacity_mw),
      number(each.price, 2),
      ...kinds.flatMap(([kind]) => {
        const drift = each.drift[kind];
        const off = known(drift) ? Math.abs(drift - 1) : 0;
        return [
          metered ? number(each.metered[kind]) : NOTHING,
          number(each.estimated[kind]),
          { text: `${number(drift, 2)}${off > 0.15 ? " ▲" : ""}`, mark: off > 0.15 ? "warn" : "" },
        ];
      }),
    ],
  })), "no regions");
}

/** Work that can wait; hidden in a service that has never had any. */
function jobs(state) {
  const counts = jobCounts(state);
  for (const node of document.querySelectorAll(".of-jobs")) node.hidden = !counts.length;
  if (!counts.length) return;
  const { open } = state.jobs;
  const more = sum(counts.filter(([name]) => OPEN.includes(name)).map(([, count]) => count)) - open.length;
  say(find("jobs-note"), `${counts.map(([name, count]) => `${number(count, 0)} ${name}`).join(", ")}.`
    + (more > 0 ? ` Below are the ${open.length} with the soonest deadlines.` : ""));
  const now = utc(state.now_utc);
  const hour = state.slot ? state.slot.seconds / 3600 : 1;
  table(find("jobs"), [["Job"], ["Done", "of its energy"], ["Deadline"], ["Runs now", "IT MW"],
    ["To spare", "until then", "number"], ["Energy", "IT MWh", "number"], ["State"]],
  open.map((each) => {
    const done = 1 - each.left_mwh / each.energy_mwh;
    const runs = Object.entries(each.now_mw).filter(([, mw]) => mw > 0)
      .map(([name, mw]) => `${name} ${number(mw)}`).join(", ");
    const short = each.slack_mwh < each.max_mw * hour;
    const spare = each.slack_mwh / each.max_mw;
    const left = (utc(each.deadline_utc) - now) / 1e3;
    return {
      key: each.job,
      cells: [
        { text: each.job, mark: "name", title: each.job },
        { text: percent(done, 0), bar: done },
        {
          text: `${left < 0 ? "passed" : `in ${age(left)}`}${short ? " ▲" : ""}`, mark: short ? "bad" : "",
          title: `${moment(utc(each.deadline_utc))} UTC`,
        },
        { text: runs || NOTHING, mark: "wrapped", title: `may run in ${each.regions.join(", ")}` },
        { text: spare < 0 ? "too late" : age(3600 * spare), mark: `number${short ? " bad" : ""}` },
        { text: number(each.energy_mwh), mark: "number" },
        each.state,
      ],
    };
  }), "no job is open");
}

function signalTable(signals) {
  const kinds = [...new Set(signals.map((each) => each.kind))];
  const places = [...new Set(signals.map((each) => each.region))];
  const by = new Map(signals.map((each) => [`${each.kind}\n${each.region}`, each]));
  const sources = kinds.map((kind) => {
    const named = new Set(signals.filter((each) => each.kind === kind).map((each) => each.source));
    return `${kind} from ${named.size > 2 ? `${named.size} sources` : [...named].join(" and ")}`;
  });
  say(find("signals-note"), signals.length
    ? `What the slot is planned by: ${sources.join(", ")}.`
    : "No signals have been read yet.");
  const head = [["Region"], ...kinds.flatMap((kind) => [
    [title(kind), unit(signals.find((each) => each.kind === kind).unit)], ["age", "or what stands in", "words"]])];
  table(find("signals"), head, places.map((place) => ({
    key: place,
    cells: [place, ...kinds.flatMap((kind) => {
      const each = by.get(`${kind}\n${place}`);
      if (!each) return [NOTHING, NOTHING];
      const { value, old, fresh, fallback, source, problem } = each;
      const instead = `▲ ${fallback ?? "nothing"}${old === null ? "" : `, ${age(old)}`}`;
      return [
        { text: number(value), title: source },
        fresh ? { text: `✓ ${age(old)}`, mark: "answer words", title: source }
          : { text: instead, mark: "answer words warn", title: problem },
      ];
    })],
  })), "no signals yet");
}

function planning(state) {
  const { table: heading, slot, solves } = state;
  const note = heading?.note ? `; ${heading.note}` : "";
  say(find("table-note"), heading
    ? `Version ${heading.version} of the slot of ${moment(utc(slot.start_utc))}: ${heading.source}${note}.`
    : "There is no table yet.");
  say(find("solve-most"), solves.length ? `highest bar ${number(solveBars(find("solve-bars"), solves), 2)} s` : "");
  table(find("solves"), [
    ["Slot, UTC"], ["Solved in", "s", "number"], ["Allowed", "s", "number"], ["Weights from"], ["Why"]],
    solves.slice(-SHOWN.solves).reverse().map((each) => ({
      key: each.slot_utc,
      cells: [
        moment(utc(each.slot_utc), { year: false }),
        { text: number(each.seconds, 2), mark: "number" },
        { text: each.allowed < 1e8 ? number(each.allowed, 2) : "any", mark: "number" },
        { text: each.outcome, mark: each.outcome === "plan" ? "" : "warn" },
        { text: each.why || NOTHING, mark: "long", title: each.why },
      ],
    })), "no slot has been planned yet");
}

function decisions(state) {
  table(find("decisions"), [["Time, UTC"], ["Gateway"], ["To region"], ["Why"]],
    state.decisions.slice(0, SHOWN.decisions).map((each, index) => ({
      key: String(index),
      cells: [moment(utc(each.utc), { seconds: true, year: false }), each.gateway, each.region,
        { text: each.why, mark: "long", title: each.why }],
    })), "no request has asked for a route yet");
}

function show(state) {
  const since = state.slot ? Math.max((utc(state.now_utc) - utc(state.slot.start_utc)) / 1e3, 0) : 0;
  const signals = state.signals.map((each) => reading(each, since));
  header(state);
  tiles(state, signals);
  map.show(state);
  alerts(state);
  lines(state);
  regions(state);
  jobs(state);
  signalTable(signals);
  planning(state);
  decisions(state);
}

async function ask(path) {
  const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
  if (!answer.ok) throw new Error(`${path} was answered with ${answer.status}`);
  return answer.json();
}

/** A service may come back with another fleet. */
async function settle(state) {
  const now = JSON.stringify([state.scenario, ...[...state.regions, ...state.gateways].map((each) => each.name)]);
  if (now === fleet) return;
  for (const each of figures.values()) each.figure.remove();
  figures.clear();
  map.on(await ask("map.json"));
  fleet = now;
}

function link(kind, text, title = "") {
  const node = find("link");
  set(node, { "data-link": kind, title });
  say(node.firstElementChild, text);
  document.body.classList.toggle("gone", kind === "gone");
}

async function poll() {
  clearTimeout(timer);
  if (asking) return;
  asking = true;
  let state = null;
  try {
    state = await ask("v1/state");
    await settle(state);
    heard = Date.now();
    wait = EVERY;
    link("live", "live");
  } catch {
    wait = Math.min(wait * 1.5, SLOWEST);
    const since = heard === null ? "" : ` since ${moment(heard, { seconds: true }).slice(11)} UTC`;
    link("gone", `no answer${since}`, "Shown is what the service said last; it is asked again every few seconds.");
    state = null;
  } finally {
    asking = false;
    timer = setTimeout(poll, document.hidden ? HIDDEN : wait);
  }
  if (state) show(state);
}

document.addEventListener("visibilitychange", () => { if (!document.hidden) poll(); });
poll();
