// The service's log, as `ccr logs` shows it, and the others; what is added appears by itself.

import { get } from "./api.js";
import { badge, button, el, field, moment, put, select } from "./dom.js";

export const title = "Logs";
const PAUSE_MS = 1000;
const KEPT_LINES = 1000;
const KINDS = { warn: "warn", error: "bad", fatal: "bad", debug: "off", trace: "off" };

export async function show(place) {
  const name = select([["ccr", "Service (ccr.log)"], ["plugin", "Transformers (plugin.log)"], ["start", "Starts (start.log)"]], "ccr");
  const level = select([["", "any"], ...["debug", "info", "warn", "error"].map((each) => [each, `${each} and worse`])], "");
  const [search, request, session] = [0, 1, 2].map(() => el("input", { type: "search", autocomplete: "off", spellcheck: "false" }));
  const lines = el("div", { class: "log", role: "log", "aria-label": "Log", tabindex: "0" });
  const told = el("p", { class: "hint", role: "status" });
  const follow = el("input", { type: "checkbox", id: "follow", checked: true });
  let cursor = "";
  let turn = 0; // of the filter: what was asked before it changed is not shown
  let timer;
  let isOver = false;

  async function read() {
    clearTimeout(timer);
    const mine = turn;
    try {
      const page = await get("/api/log", { name: name.value, cursor, level: level.value, text: search.value, request: request.value, session: session.value });
      if (isOver || mine !== turn) return;
      draw(page);
      cursor = page.cursor;
    } catch (error) {
      if (isOver || mine !== turn) return;
      put(told, error.message);
    }
    if (!isOver && follow.checked) timer = setTimeout(read, PAUSE_MS);
  }

  function draw(page) {
    const isAtEnd = lines.scrollHeight - lines.scrollTop - lines.clientHeight < 40;
    if (!cursor) put(lines);
    lines.append(...page.records.map(entry));
    while (lines.childElementCount > KEPT_LINES) lines.firstElementChild.remove();
    if (isAtEnd || !cursor) lines.scrollTop = lines.scrollHeight;
    const older = page.omitted ? `; ${page.omitted} earlier ones are not shown` : "";
    put(told, page.exists ? `${lines.childElementCount} lines${older}` : "There is no such log yet (none is written when LOG is false).");
  }

  function again() {
    turn += 1;
    cursor = "";
    read();
  }

  let typing;
  for (const control of [name, level]) control.addEventListener("change", again);
  for (const control of [search, request, session]) control.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(again, 250);
  });
  follow.addEventListener("change", () => (follow.checked ? read() : clearTimeout(timer)));
  const clear = button("Clear the filter", () => {
    for (const control of [search, request, session, level]) control.value = "";
    again();
  });
  put(place,
    el("section", { class: "card", "aria-label": "Filter" },
      el("div", { class: "fields" }, field("Log", name), field("Level", level), field("Text", search), field("Request id", request), field("Session id", session)),
      el("div", { class: "buttons" }, el("label", { class: "check", for: "follow" }, follow, " Follow"), clear, told)),
    lines);
  await read();
  return () => {
    isOver = true;
    clearTimeout(timer);
    clearTimeout(typing);
  };
}

function entry(record) {
  return el("div", { class: "entry" },
    el("div", {},
      record.time ? el("time", { datetime: record.time }, moment(record.time)) : null, " ",
      record.level ? badge(record.level, KINDS[record.level] ?? "") : null, " ",
      el("span", { class: "message" }, record.message)),
    record.fields.length ? el("div", { class: "pairs" }, record.fields.map(([key, value]) => [el("span", {}, el("b", {}, `${key}=`), value), " "])) : null,
    record.traceback ? el("pre", {}, record.traceback) : null);
}

