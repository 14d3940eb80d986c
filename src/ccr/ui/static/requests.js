// The requests that were finished lately, one by one; never a prompt or an answer: they are not kept.

import { get } from "./api.js";
import { badge, button, busy, el, field, list, moment, note, number, put } from "./dom.js";

export const title = "Requests";
const KINDS = { ok: "good", error: "bad", cancelled: "warn" };

export async function show(place) {
  const [search, model, provider, session] = [0, 1, 2, 3].map(() => el("input", { type: "search", autocomplete: "off", spellcheck: "false" }));
  const errors = el("input", { type: "checkbox", id: "only-errors" });
  const lines = el("div", { class: "card requests" });
  const more = el("div", { class: "buttons" });
  let turn = 0;
  let typing;

  async function read(before) {
    const mine = ++turn;
    try {
      const page = await get("/api/requests", {
        text: search.value, model: model.value, provider: provider.value, session: session.value,
        errors: errors.checked ? "1" : "0", before: before ?? 0,
      });
      if (mine === turn) draw(page, before);
    } catch (error) {
      if (mine === turn) put(lines, note("bad", error.message));
    }
  }

  function draw(page, before) {
    if (!before) put(lines);
    if (!page.exists) put(lines, note("", page.sentence));
    else if (!before && !page.requests.length) put(lines, note("", "No request fits."));
    else lines.append(...page.requests.map(entry));
    const last = page.requests?.at(-1);
    const older = button("Older ones", () => busy(older, () => read(last.id)));
    const again = button("Look again", () => busy(again, () => read()));
    put(more, page.has_more ? older : null, again);
  }

  for (const control of [search, model, provider, session]) control.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => read(), 250);
  });
  errors.addEventListener("change", () => read());
  put(place,
    el("section", { class: "card", "aria-label": "Search" },
      el("div", { class: "fields" }, field("Text (error, model, id)", search), field("Model", model), field("Provider", provider), field("Session id", session)),
      el("label", { class: "check", for: "only-errors" }, errors, " Errors alone")),
    lines, more);
  await read();
  return () => clearTimeout(typing);
}

function entry(request) {
  const prompt = (request.input_tokens ?? 0) + (request.cache_read_input_tokens ?? 0) + (request.cache_creation_input_tokens ?? 0);
  const tokens = request.input_tokens === null ? "tokens not told" : `${number(prompt)} tokens in, ${number(request.output_tokens ?? 0)} out`;
  const facts = Object.entries(request).filter(([, value]) => value !== null && value !== "");
  return el("details", { class: "request" },
    el("summary", {},
      el("time", { datetime: request.at }, moment(request.at)),
      badge(request.outcome === "error" ? `error ${request.status}` : request.outcome, KINDS[request.outcome] ?? ""),
      el("strong", {}, request.upstream_model || request.model),
      badge(request.rule || "no rule"),
      el("span", { class: "hint" }, `${request.provider || "no provider"} · ${tokens} · ${number(Math.round(request.ms))} ms`),
      request.error ? el("span", { class: "wrong" }, request.error) : null),
    list(facts.map(([name, value]) => el("span", {}, el("code", {}, name), ` ${value}`))));
}
