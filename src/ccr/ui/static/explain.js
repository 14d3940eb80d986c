// Which route a request would take, which rules were tried, what would be sent. Nothing is sent.

import { post } from "./api.js";
import { badge, busy, button, card, el, field, list, note, number, put, select, table, text } from "./dom.js";

export const title = "Route explain";
const HELLO = { role: "user", content: "Hello" };
const EXAMPLES = {
  "An ordinary request": { model: "claude-sonnet-4-5", max_tokens: 1024, messages: [HELLO] },
  "Background work (haiku)": { model: "claude-haiku-4-5", max_tokens: 512, messages: [HELLO] },
  "More thinking": { model: "claude-opus-4-5", max_tokens: 8192, thinking: { type: "enabled", budget_tokens: 4096 }, messages: [HELLO] },
  "Web search": { model: "claude-sonnet-4-5", max_tokens: 1024, tools: [{ type: "web_search_20250305", name: "web_search", max_uses: 5 }], messages: [HELLO] },
  "An image": { model: "claude-sonnet-4-5", max_tokens: 1024, messages: [{ role: "user", content: [
    { type: "image", source: { type: "base64", media_type: "image/png", data: "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==" } },
    { type: "text", text: "What is this?" }] }] },
};

export async function show(place) {
  const body = el("textarea", { rows: 14, spellcheck: "false", autocomplete: "off" });
  const example = select(Object.keys(EXAMPLES).map((name) => [name, name]), Object.keys(EXAMPLES)[0]);
  const dialect = select([["messages", "Messages API (/v1/messages)"], ["chat", "Chat completions (/v1/chat/completions)"]], "messages");
  const session = el("input", { type: "text", autocomplete: "off", spellcheck: "false" });
  const outcome = el("div", { class: "page", "aria-live": "polite" });
  const fill = () => (body.value = JSON.stringify(EXAMPLES[example.value], null, 2));
  example.addEventListener("change", fill);
  fill();
  const go = button("Explain", () => busy(go, async () => {
    try {
      put(outcome, explanation(await post("/api/explain", { body: body.value, chat: dialect.value === "chat", session: session.value })));
    } catch (error) {
      put(outcome, note("bad", ...error.message.split("\n").map((line) => el("p", {}, line))));
    }
  }), "main");
  put(place,
    text("Paste the JSON of a request, or choose an example. Nothing is sent to a model.", "lead"),
    el("section", { class: "card", "aria-label": "Request" },
      el("div", { class: "fields" }, field("Example", example), field("Form", dialect), field("Session (may be empty)", session, "for the Router of a project")),
      field("Request", body), el("div", { class: "buttons" }, go)),
    outcome);
}

function explanation(values) {
  const sent = values.request;
  return [
    card("Decision",
      el("p", { class: "decision" }, el("code", {}, values.model), " → ", el("strong", {}, values.route), " by the rule ", badge(values.rule, "good"),
        values.router === "config" ? null : ` (Router of the ${values.router})`),
      values.problem ? note("bad", values.problem) : null,
      values.alternatives.length ? text(`When it fails: ${values.alternatives.join(", ")}`) : null,
      values.changed.length ? el("p", {}, "Changed: ", values.changed.map((rule) => [badge(rule), " "])) : null,
      values.tried.length ? table("Rules that were tried", ["Rule", "Why"], values.tried.map((each) => [each.rule, each.why])) : null),
    sent ? card("What would be sent",
      el("p", {}, el("code", {}, `${sent.method} ${sent.url}`)),
      list(Object.entries(sent.headers).map(([name, value]) => el("code", {}, `${name}: ${value}`))),
      text(`${number(sent.body_bytes)} bytes${values.limits.max_payload_bytes ? ` of at most ${number(values.limits.max_payload_bytes)}` : ""}`, "hint"),
      el("pre", { tabindex: "0" }, typeof sent.body === "string" ? sent.body : JSON.stringify(sent.body, null, 2))) : null,
  ];
}
