// Whether the service runs, what it serves, how its providers stand.

import { get, post } from "./api.js";
import { badge, busy, button, card, code, duration, el, list, note, number, put, say, table } from "./dom.js";

export const title = "Overview";
const PAUSE_MS = 3000;
const SENTENCES = {
  running: ["good", "ccr is running"],
  other_key: ["warn", "ccr is running with another key than the configuration has now: restart it"],
  unresponsive: ["warn", "ccr does not answer: it is starting, finishing requests, or hanging"],
  unknown: ["warn", "ccr is starting"],
  stopped: ["off", "ccr is not running"],
};

export async function show(place) {
  const service = el("div");
  const rest = el("div", { class: "page" });
  const buttons = el("div", { class: "buttons" });
  const outcome = el("div", { "aria-live": "polite" });
  let shown = "";
  let isOver = false;
  let timer;

  const controls = {
    start: button("Start", () => act("start"), "main"),
    restart: button("Restart", () => act("restart")),
    stop: button("Stop", () => act("stop")),
  };
  put(place, el("section", { class: "card", "aria-label": "Service" }, service, buttons, outcome), rest);

  async function act(action) {
    await busy(controls[action], async () => {
      try {
        const done = await post("/api/service", { action });
        put(outcome, note(done.ok ? "good" : "bad", list(done.said)));
      } catch (error) {
        put(outcome, note("bad", error.message));
      }
    });
    await refresh();
  }

  async function refresh() {
    clearTimeout(timer);
    try {
      const values = await get("/api/overview");
      if (isOver) return;
      drawService(values);
      const drawn = JSON.stringify({ ...values, uptime_s: 0 });
      if (drawn !== shown) put(rest, parts(values)); // what did not change keeps its place and selection
      shown = drawn;
    } catch (error) {
      if (isOver) return;
      if (!shown) throw error;
      say(error.message, "bad");
    }
    timer = setTimeout(refresh, PAUSE_MS);
  }

  function drawService(values) {
    const [kind, sentence] = SENTENCES[values.condition] ?? ["warn", values.condition];
    const facts = [];
    if (values.address) facts.push(["Address", code(values.address)]);
    if (values.pid) facts.push(["Process", String(values.pid)], ["Up", duration(values.uptime_s)]);
    facts.push(["Version", values.version && values.version !== values.ui_version ? `${values.version}; installed is ${values.ui_version}: restart it` : values.version ?? values.ui_version]);
    facts.push(["Configuration", code(values.config_file)]);
    put(service, el("p", { class: `state ${kind}` }, el("span", { class: "dot" }), sentence),
      el("dl", { class: "facts" }, facts.map(([name, value]) => el("div", { class: name === "Configuration" ? "whole" : null }, el("dt", {}, name), el("dd", {}, value)))));
    const wanted = values.condition === "stopped" ? [controls.start] : [controls.restart, controls.stop];
    if (wanted.some((each) => each.parentElement !== buttons)) put(buttons, wanted);
  }

  await refresh();
  return () => {
    isOver = true;
    clearTimeout(timer);
  };
}

function parts(values) {
  const counts = values.counts ?? {};
  return [troubles(values, counts), providers(values, counts), routes(values), counters(counts), repairs(counts)];
}

function troubles(values, counts) {
  const state = counts.configuration ?? {};
  const found = [];
  if (values.config_error) found.push(note("bad", ...values.config_error.split("\n").map((line) => el("p", {}, line))));
  if (state.problems?.length) found.push(note("bad", el("p", {}, "The edited configuration has problems; the service goes on with the last good one:"), list(state.problems)));
  if (state.restart_needed_for?.length) found.push(note("warn", `${state.restart_needed_for.join(" and ")} changed: a restart makes it count.`));
  if (values.warnings.length) found.push(note("warn", list(values.warnings)));
  if (values.notes.length) found.push(note("", list(values.notes)));
  return found;
}

function providers(values, counts) {
  if (!values.providers.length) return null;
  const rows = values.providers.map((provider) => {
    const standing = counts.upstream?.[provider.name];
    return [
      el("div", {}, provider.name, el("p", { class: "hint" }, provider.url)),
      el("div", { class: "chips" }, provider.models.map((model) => badge(model))),
      el("div", {}, states(standing, values.running), identity(counts.identities?.[provider.name])),
    ];
  });
  return card("Providers", table("Providers", ["Provider", "Models", "State"], rows));
}

function states(standing, isRunning) {
  if (!standing) return badge(isRunning ? "not asked yet" : "not running", "off");
  const open = Object.entries(standing.breakers ?? {});
  const lines = open.map(([model, breaker]) => el("p", {}, badge(`${breaker.state}: ${model}`, breaker.state === "closed" ? "" : "bad"), ` ${breaker.reason ?? ""}`));
  if (!open.some(([, breaker]) => breaker.state !== "closed")) lines.unshift(badge("available", "good"));
  const busyWith = [[standing.active, "running"], [standing.queued, "waiting"], [standing.retries, "sent again"]].filter(([count]) => count);
  if (busyWith.length) lines.push(el("p", { class: "hint" }, busyWith.map(([count, word]) => `${number(count)} ${word}`).join(", ")));
  if (standing.keys) lines.push(el("p", { class: "hint" }, `keys: ${keysSaid(standing.keys)}`));
  return lines;
}

const keysSaid = (keys) => (typeof keys === "object" ? Object.entries(keys).map(([name, value]) => `${name} ${typeof value === "object" ? JSON.stringify(value) : value}`).join(", ") : String(keys));

function identity(known) {
  if (!known) return null;
  const who = known.client_id ?? known.profile ?? known.host;
  const words = [known.method, who ? `for ${who}` : "", known.source ? `(${known.source})` : ""].filter(Boolean);
  return [
    el("p", { class: "hint" }, `${words.join(" ")}, token ends: ${known.expires_at ?? "never"}`),
    known.problem ? note("bad", `no new token: ${known.problem}`) : null,
  ];
}

function routes(values) {
  const rows = Object.entries(values.routes).map(([rule, route]) => [
    rule === "longContext" && values.long_context_threshold ? `longContext (above ${number(values.long_context_threshold)} tokens)` : rule,
    el("span", {}, route ?? "none"),
    (values.fallbacks[rule] ?? []).join(", "),
  ]);
  return rows.length ? card("Routes", table("Routes", ["Requests", "Model", "When that fails"], rows)) : null;
}

function counters(counts) {
  const requests = Object.entries(counts.requests ?? {});
  if (!requests.length) return null;
  const tiles = [...requests, ["running now", counts.active ?? 0], ["sent again", counts.retries ?? 0], ["other route", counts.fallbacks ?? 0]];
  const rows = Object.entries(counts.routes ?? {}).map(([route, each]) => [route, number(each.requests), number(each.error ?? 0),
    number((each.input_tokens ?? 0) + (each.cache_read_input_tokens ?? 0) + (each.cache_creation_input_tokens ?? 0)), number(each.cache_read_input_tokens ?? 0), number(each.output_tokens ?? 0)]);
  return card("Requests since the start",
    el("dl", { class: "tiles" }, tiles.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, number(value))))),
    rows.length ? table("Requests by route", ["Route", "#Requests", "#Errors", "#Tokens in", "#From cache", "#Tokens out"], rows) : null);
}

function repairs(counts) {
  const rows = Object.entries(counts.repairs ?? {}).flatMap(([model, rules]) =>
    Object.entries(rules).map(([rule, whats]) => [model, rule, Object.entries(whats).map(([what, count]) => (what ? `${what} (${count})` : count)).join(", ")]));
  return rows.length ? card("Repaired requests", table("Repairs", ["Model", "Rule", "What"], rows)) : null;
}
