// One tiny request to a model, through the running service.

import { get, post } from "./api.js";
import { badge, busy, button, el, list, note, put, table, text } from "./dom.js";

export const title = "Connections";

export async function show(place) {
  const values = await get("/api/config");
  const configured = (values.choices ?? []).filter((choice) => choice.configured);
  if (!configured.length) {
    put(place, values.problems.length ? note("bad", list(values.problems.map((each) => each.sentence))) : note("", "No model is configured."));
    return;
  }
  const tests = configured.map((choice) => row(choice));
  const all = button("Test all", () => busy(all, () => Promise.all(tests.map((test) => test.run()))), "main");
  put(place,
    text("Each test asks the model for one token, by the running service and its key, as Claude Code would. That costs next to nothing; an endpoint that was scaled to zero needs up to a minute.", "lead"),
    el("section", { class: "card", "aria-label": "Tests" }, el("div", { class: "buttons" }, all),
      table("Models", ["Model", "Test", "Outcome"], tests.map((test) => test.cells))));
}

function row(choice) {
  const outcome = el("div", { "aria-live": "polite" }, badge("not tested", "off"));
  const control = button("Test", () => run());
  control.setAttribute("aria-label", `Test ${choice.route}`);
  const model = choice.route.slice(choice.provider.length + 1);
  async function run() {
    put(outcome, badge("asking …"));
    await busy(control, async () => {
      try {
        const done = await post("/api/test", { route: choice.route });
        if (done.ok) put(outcome, badge("works", "good"), ` answered in ${done.ms} ms`);
        else put(outcome, badge(done.status ? `failed (${done.status})` : "failed", "bad"), el("p", {}, done.error));
      } catch (error) {
        put(outcome, badge("not possible", "bad"), el("p", {}, error.message));
      }
    });
  }
  return { run, cells: [el("div", {}, model, el("p", { class: "hint" }, choice.provider)), control, outcome] };
}
