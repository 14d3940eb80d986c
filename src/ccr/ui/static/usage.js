// What the requests came to: by day as bars, by model and more as a table.

import { get } from "./api.js";
import { card, el, field, moment, note, number, put, select, svg, table, text } from "./dom.js";

export const title = "Usage";
const HEIGHT = 190;
const BOTTOM = 22;
const MEASURES = {
  tokens: ["Tokens", (each) => prompt(each) + (each.output_tokens ?? 0), (value) => number(value)],
  cost: ["Cost (estimate)", (each) => each.cost_usd ?? 0, (value) => dollars(value)],
  requests: ["Requests", (each) => each.requests, (value) => number(value)],
};

const prompt = (each) => (each.input_tokens ?? 0) + (each.cache_read_input_tokens ?? 0) + (each.cache_creation_input_tokens ?? 0);
const known = (value, shown = number) => (value === null || value === undefined ? "–" : shown(value));
const dollars = (value) => `$${value.toFixed(value && value < 1 ? 4 : 2)}`;
const cost = (each) => (each.cost_usd === null ? (each.without_price ? "unknown" : "–") : `${dollars(each.cost_usd)}${each.without_price ? " + ?" : ""}`);
const percent = (value) => `${Math.round(value * 100)} %`;

export async function show(place) {
  const days = select([["1", "today"], ["7", "7 days"], ["30", "30 days"], ["90", "90 days"], ["0", "all"]], "30");
  const by = select(["model", "provider", "session", "project", "rule", "agent"].map((each) => [each, each]), "model");
  const measure = select(Object.entries(MEASURES).map(([key, [label]]) => [key, label]), "tokens");
  const body = el("div", { class: "page" });
  let values;

  async function read() {
    try {
      values = await get("/api/usage", { days: days.value, by: by.value });
      draw();
    } catch (error) {
      put(body, note("bad", error.message));
    }
  }

  function draw() {
    if (!values.exists) put(body, note("", values.sentence));
    else put(body, tiles(values.total), chart(values, measure.value, body.clientWidth - 42), groups(values.groups, by.value));
  }

  for (const control of [days, by]) control.addEventListener("change", read);
  measure.addEventListener("change", draw);
  const redraw = () => values && draw();
  addEventListener("resize", redraw);
  put(place,
    el("section", { class: "card", "aria-label": "Period" }, el("div", { class: "fields" }, field("Period", days), field("Bars", measure), field("Grouped by", by))),
    body);
  await read();
  return () => removeEventListener("resize", redraw);
}

function tiles(total) {
  const shown = [
    ["Requests", known(total.requests)], ["Errors", known(total.errors)],
    ["Tokens in", total.input_tokens === null ? "–" : number(prompt(total))], ["Tokens out", known(total.output_tokens)],
    ["From cache", known(total.cache_hit_share, percent)], ["Cost (estimate)", cost(total)],
    ["Tokens a second", known(total.tokens_per_s, (value) => value.toFixed(0))],
    ["First byte", known(total.first_byte_ms, (value) => `${Math.round(value)} ms`)],
  ];
  const gaps = [];
  if (total.without_price) gaps.push(`${number(total.without_price)} requests went to models without a known price; they are not in the cost.`);
  if (total.without_usage) gaps.push(`Of ${number(total.without_usage)} requests the provider told no tokens.`);
  return card("In total", el("dl", { class: "tiles" }, shown.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)))),
    text(["The cost is an estimate by list prices, or by prices of your own.", ...gaps].join(" "), "hint"));
}

function chart(values, key, room) {
  const [label, of, shown] = MEASURES[key];
  const days = everyDay(values);
  const width = Math.max(260, room);
  const most = Math.max(...days.map((day) => of(day)), 0);
  if (!days.length || !most) return card("By day", text("Nothing in this period.", "hint"));
  const step = width / days.length;
  const every = Math.ceil(days.length / Math.max(1, Math.floor(width / 76)));
  const bars = days.map((day, at) => {
    const height = Math.max(of(day) ? 2 : 0, (of(day) / most) * (HEIGHT - BOTTOM - 20));
    const bar = svg("rect", { class: "bar", x: at * step + step * 0.12, y: HEIGHT - BOTTOM - height, width: Math.min(step * 0.76, 46), height, rx: 2 },
      svg("title", {}, `${day.key}: ${shown(of(day))}`));
    const name = at % every ? null : svg("text", { x: at * step + step * 0.12, y: HEIGHT - 6 }, day.key.slice(5));
    return [bar, name];
  });
  const rows = days.filter((day) => day.requests).map((day) => [day.key, number(day.requests), number(prompt(day)), number(day.output_tokens ?? 0), cost(day)]).reverse();
  return card("By day",
    svg("svg", { class: "chart", viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img", "aria-label": `${label} by day, at most ${shown(most)}; the table below has the figures` },
      svg("line", { x1: 0, x2: width, y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM }), svg("text", { x: 0, y: 12 }, `${shown(most)} at most`), bars),
    el("details", {}, el("summary", {}, "As a table"), table("By day", ["Day", "#Requests", "#Tokens in", "#Tokens out", "#Cost"], rows)));
}

// Days without requests have a place of their own, so that a bar's place says when it was.
function everyDay(values) {
  const found = new Map(values.days.map((day) => [day.key, day]));
  const first = values.first ?? values.days[0]?.key;
  const days = [];
  for (let day = new Date(`${first}T12:00:00Z`); first && days.length < 400; day.setUTCDate(day.getUTCDate() + 1)) {
    const key = day.toISOString().slice(0, 10);
    days.push(found.get(key) ?? { key, requests: 0, cost_usd: null });
    if (key >= values.today) break;
  }
  return days.length < 400 ? days : values.days;
}

function groups(lines, by) {
  const rows = lines.map((line) => [line.key ?? "none", number(line.requests), number(line.errors), line.input_tokens === null ? "–" : number(prompt(line)),
    known(line.cache_hit_share, percent), known(line.output_tokens), cost(line), line.last_at ? moment(line.last_at).slice(0, 11) : "–"]);
  return card(`By ${by}`, rows.length ? table(`By ${by}`, [by, "#Requests", "#Errors", "#Tokens in", "#From cache", "#Tokens out", "#Cost", "#Last"], rows) : text("Nothing in this period.", "hint"));
}
