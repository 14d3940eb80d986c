// Elements out of values. Texts are set as texts, never as HTML: what a model or a log line says runs nothing.

export function el(name, options = {}, ...children) {
  const element = document.createElement(name);
  return filled(element, options, children);
}

export function svg(name, options = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", name), options, children);
}

function filled(element, options, children) {
  for (const [key, value] of Object.entries(options)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "value") element.value = value;
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function put(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
}

export const text = (content, kind) => el("p", { class: kind }, content);
export const code = (content) => el("code", {}, content);
export const badge = (content, kind = "") => el("span", { class: `badge ${kind}` }, content);

export function card(title, ...children) {
  const id = `card-${title.toLowerCase().replace(/[^a-z]+/g, "-")}`;
  return el("section", { class: "card", "aria-labelledby": id }, el("h2", { id }, title), ...children);
}

export function note(kind, ...children) {
  return el("div", { class: `note ${kind}`, role: kind === "bad" ? "alert" : null }, ...children);
}

export function list(items) {
  return el("ul", { class: "plain" }, items.map((item) => el("li", {}, item)));
}

export function table(caption, heads, rows) {
  const head = el("tr", {}, heads.map((each) => el("th", { scope: "col", class: numeric(each) }, title(each))));
  const body = rows.map((row) => el("tr", {}, row.map((cell, at) => el(at ? "td" : "th", { scope: at ? null : "row", class: numeric(heads[at]) }, cell))));
  return el("div", { class: "wide", tabindex: "0", role: "region", "aria-label": caption },
    el("table", { class: heads.some(numeric) ? null : "texts" }, el("caption", { class: "unseen" }, caption), el("thead", {}, head), el("tbody", {}, body)));
}

// A heading that begins with # is one of numbers.
const numeric = (head) => (head.startsWith("#") ? "number" : null);
const title = (head) => head.replace(/^#/, "");

let labels = 0;

export function field(label, control, hint) {
  const id = `field-${++labels}`;
  control.id = id;
  if (hint) control.setAttribute("aria-describedby", `${id}-hint`);
  return el("div", { class: "field" }, el("label", { for: id }, label), control, hint ? el("p", { class: "hint", id: `${id}-hint` }, hint) : null);
}

export function button(label, onclick, kind = "") {
  return el("button", { type: "button", class: kind, onclick }, label);
}

export function select(options, value) {
  const control = el("select", {}, options.map(([key, label]) => el("option", { value: key }, label)));
  control.value = value;
  return control;
}

// Runs while a button shows that it does; a second click changes nothing meanwhile.
export async function busy(control, work) {
  control.setAttribute("aria-busy", "true");
  control.disabled = true;
  try {
    return await work();
  } finally {
    control.removeAttribute("aria-busy");
    control.disabled = false;
  }
}

export function say(sentence, kind = "good") {
  const place = document.getElementById("said");
  const shown = el("p", { class: `toast ${kind}` }, sentence);
  put(place, shown);
  setTimeout(() => shown.remove(), kind === "bad" ? 12000 : 6000);
}

export const number = (value) => new Intl.NumberFormat("en").format(value);

export function duration(seconds) {
  const parts = [];
  let rest = Math.max(0, Math.round(seconds));
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]]) {
    const amount = Math.floor(rest / size);
    rest %= size;
    if (amount || (unit === "s" && !parts.length)) parts.push(`${amount} ${unit}`);
  }
  return parts.slice(0, 2).join(" ");
}

export function moment(written) {
  const date = new Date(written);
  if (!written || Number.isNaN(date.getTime())) return written;
  const two = (value) => String(value).padStart(2, "0");
  const millis = String(date.getMilliseconds()).padStart(3, "0");
  return `${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${millis}`;
}
