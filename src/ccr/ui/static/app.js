// One page at a time, chosen by the address's fragment.

import { begin } from "./api.js";
import { el, note, put } from "./dom.js";
import * as config from "./config.js";
import * as connections from "./connections.js";
import * as explain from "./explain.js";
import * as logs from "./logs.js";
import * as overview from "./overview.js";
import * as requests from "./requests.js";
import * as usage from "./usage.js";

const PAGES = { overview, config, connections, logs, usage, requests, explain };
const main = document.getElementById("main");
let leave = () => {};

const named = () => {
  const name = location.hash.slice(1).split("?")[0];
  return Object.hasOwn(PAGES, name) ? name : "overview";
};

function drawNav(current) {
  const links = Object.entries(PAGES).map(([name, page]) =>
    el("a", { href: `#${name}`, "aria-current": name === current ? "page" : null }, page.title));
  put(document.getElementById("nav"), links);
  links.find((link) => link.hasAttribute("aria-current"))?.scrollIntoView({ block: "nearest", inline: "center" });
}

async function show(isFirst = false) {
  if (location.hash === "#main") return; // the skip link
  leave();
  leave = () => {};
  const name = named();
  const page = PAGES[name];
  document.title = `${page.title} · ccr`;
  drawNav(name);
  const place = el("div", { class: "page" });
  put(main, el("h1", {}, page.title), place);
  if (!isFirst) main.focus({ preventScroll: true });
  scrollTo(0, 0);
  main.setAttribute("aria-busy", "true");
  try {
    const left = await page.show(place);
    if (place.isConnected) leave = left ?? leave;
    else left?.();
  } catch (error) {
    put(place, note("bad", error.message));
  }
  if (place.isConnected) main.removeAttribute("aria-busy");
}

try {
  if (await begin()) {
    addEventListener("hashchange", () => show());
    await show(true);
  } else {
    put(main, el("h1", {}, "ccr"), note("bad", "Open the whole address that ccr ui has printed: it ends with the key to these pages."));
  }
} catch (error) {
  put(main, el("h1", {}, "ccr"), note("bad", error.message));
}
