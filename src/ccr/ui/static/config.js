// config.json: what it says, and the changes that are possible from here. The file keeps comments and order.

import { get, post } from "./api.js";
import { badge, busy, button, card, code, el, field, list, note, put, say, select, text } from "./dom.js";

export const title = "Configuration";
const KINDS = {
  default: "everything else",
  background: "background work",
  think: "more thinking",
  longContext: "long conversations",
  webSearch: "web search",
  image: "images",
};

export async function show(place) {
  let values;
  const refused = el("div", { role: "alert" });
  const body = el("div", { class: "page" });
  put(place, refused, body);

  async function draw() {
    values = await get("/api/config");
    put(body, verdict(), values.text === null ? null : [routes(), providers(), settings(), file()]);
  }

  // Every change goes through here: what is refused says why, and the page shows the file as it is.
  async function change(control, wanted, done) {
    await busy(control, async () => {
      try {
        const outcome = await post("/api/change", { version: values.version, change: wanted });
        put(refused);
        await draw();
        if (!outcome.written) say("It is so already; nothing was written.");
        else say(`${done} The old file is ${outcome.backup}.${outcome.reloaded ? " The service has been told." : ""}`);
      } catch (error) {
        const sentences = error.problems.length ? error.problems.map((each) => each.sentence) : [error.message];
        await draw().catch(() => {});
        put(refused, note("bad", el("p", {}, "Nothing was written."), list(sentences)));
        scrollTo({ top: 0 });
      }
    });
  }

  function verdict() {
    const check = button("Check all, with transformers of your own", () => busy(check, async () => {
      try {
        const found = await post("/api/check");
        const sentences = [...found.problems.map((each) => `${each.file}: ${each.key ? `${each.key}: ` : ""}found ${each.found}; allowed: ${each.allowed}`), ...found.warnings];
        put(checked, note(found.ok ? (sentences.length ? "warn" : "good") : "bad", sentences.length ? list(sentences) : "No problem was found."));
      } catch (error) {
        put(checked, note("bad", error.message));
      }
    }));
    const checked = el("div", { "aria-live": "polite" });
    return el("section", { class: "card", "aria-label": "Check" },
      el("p", { class: `state ${values.problems.length ? "bad" : "good"}` }, el("span", { class: "dot" }),
        !values.exists ? "There is no configuration" : values.problems.length ? "The configuration has problems" : "The configuration is good"),
      el("p", { class: "hint" }, el("code", {}, values.path)),
      values.problems.length ? note("bad", list(values.problems.map((each) => each.sentence))) : null,
      values.exists ? null : note("", code("ccr setup"), " makes a configuration for Databricks, ", code("ccr import"), " one from another router's."),
      values.warnings.length ? note("warn", list(values.warnings)) : null,
      values.notes.length ? note("", list(values.notes)) : null,
      values.exists ? el("div", { class: "buttons" }, check) : null, checked);
  }

  function routes() {
    const rows = values.routes.map(({ kind, routes: chain }) => {
      const known = values.choices.map((choice) => [choice.route, choice.configured ? choice.route : `${choice.route} (served, not listed yet)`]);
      const current = values.choices.find((choice) => choice.route.toLowerCase() === (chain[0] ?? "").replace(/\s*,\s*/, ",").toLowerCase())?.route ?? chain[0] ?? "";
      const strange = current && !known.some(([route]) => route === current) ? [[current, current]] : [];
      const none = kind === "default" && current ? [] : [["", kind === "default" ? "choose one" : "like everything else"]];
      const control = select([...none, ...strange, ...known], current);
      control.dataset.kind = kind;
      control.addEventListener("change", () => change(control, { what: "route", kind, route: control.value || null }, `Requests for ${KINDS[kind] ?? kind} go to ${control.value || "the default model"} now.`));
      return field(`${kind}: ${KINDS[kind] ?? ""}`, control, chain.length > 1 ? `when that fails: ${chain.slice(1).join(", ")}` : null);
    });
    const threshold = el("input", { type: "number", min: 1, step: 1, value: values.threshold ?? "", placeholder: "60000" });
    const set = button("Set", () => change(set, { what: "threshold", value: Number(threshold.value) }, "The threshold is written."));
    return card("Routes", text("Which model serves which kind of request. A choice is checked and written at once.", "hint"),
      el("div", { class: "fields broad" }, rows),
      el("div", { class: "line" }, field("longContextThreshold", threshold, "tokens from which a conversation is long"), set));
  }

  function providers() {
    return card("Providers", values.providers.map((provider) => {
      const model = el("input", { type: "text", autocomplete: "off", spellcheck: "false" });
      const key = el("input", { type: "password", autocomplete: "new-password", spellcheck: "false" });
      const add = button("Add the model", () => change(add, { what: "add_model", provider: provider.name, model: model.value }, `${model.value} is a model of ${provider.name} now.`));
      const set = button("Set the key", () => change(set, { what: "key", provider: provider.name, value: key.value }, `The key of ${provider.name} is written.`));
      return el("article", { class: "provider" },
        el("h3", {}, provider.name), el("p", { class: "hint" }, provider.url),
        el("p", { class: "hint" }, `key: ${provider.key}${provider.transformers.length ? `; transformers: ${provider.transformers.join(", ")}` : ""}`),
        el("ul", { class: "chips" }, provider.models.map((each) => el("li", {}, badge(each), removal(provider, each)))),
        el("div", { class: "line" }, field(`New model of ${provider.name}`, model), add),
        el("div", { class: "line" }, field(`New api_key of ${provider.name}`, key, "A name like $DATABRICKS_TOKEN keeps it out of the file. It is never shown again."), set));
    }));
  }

  function removal(provider, model) {
    const control = button("×", () => change(control, { what: "remove_model", provider: provider.name, model }, `${model} was taken out.`), "small");
    control.setAttribute("aria-label", `Take out ${model} of ${provider.name}`);
    return control;
  }

  function settings() {
    const level = select([...(values.log_level ? [] : [["", "info (not written)"]]), ...values.levels.map((each) => [each, each])], values.log_level ?? "");
    level.addEventListener("change", () => level.value && change(level, { what: "log_level", value: level.value }, `The log has the level ${level.value} now.`));
    const agent = el("input", { type: "checkbox", id: "image-agent", checked: values.image_agent });
    agent.addEventListener("change", () => change(agent, { what: "image_agent", value: agent.checked }, `forceUseImageAgent is ${agent.checked ? "on" : "off"} now.`));
    return card("Settings", el("div", { class: "fields" }, field("LOG_LEVEL", level)),
      el("label", { class: "check", for: "image-agent" }, agent, " forceUseImageAgent"),
      el("p", { class: "hint" }, "Everything else is changed in the file, by ", code("ccr config set"), " or by an editor: programs, files of code, addresses and who is let in cannot be changed from a page."));
  }

  function file() {
    return card("The file", text("As it is written; secrets are masked.", "hint"), el("pre", { tabindex: "0" }, values.text),
      values.effective ? el("details", {}, el("summary", {}, "The configuration in effect, with every default"), el("pre", { tabindex: "0" }, JSON.stringify(values.effective, null, 2))) : null);
  }

  await draw();
}
