// Calls of the server of these pages. The key came in the address's fragment and stays in this tab.

const KEPT = "ccr-ui-key";

export class CallError extends Error {
  constructor(sentence, status, problems) {
    super(sentence);
    this.status = status;
    this.problems = problems ?? [];
  }
}

// Takes the key (or what gives it, once) out of the address, so that neither history nor a shared address has it.
export async function begin() {
  const [name, value] = location.hash.slice(1).split("=");
  if (name !== "key" && name !== "once") return sessionStorage.getItem(KEPT) !== null;
  history.replaceState(null, "", "#overview");
  if (name === "key") sessionStorage.setItem(KEPT, value);
  else sessionStorage.setItem(KEPT, (await post("/api/session", { code: value })).key);
  return true;
}

export const get = (path, query = {}) => asked(`${path}${Object.keys(query).length ? `?${new URLSearchParams(query)}` : ""}`, {});

export const post = (path, values = {}) =>
  asked(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(values) });

async function asked(path, options) {
  const key = sessionStorage.getItem(KEPT);
  const headers = { ...options.headers, ...(key ? { "x-ccr-ui-key": key } : {}) };
  let answer;
  try {
    answer = await fetch(path, { ...options, headers, cache: "no-store", credentials: "omit", redirect: "error" });
  } catch {
    throw new CallError("ccr ui has ended. Run it again, and open the address that it prints.", 0);
  }
  const values = await answer.json().catch(() => ({ error: "an answer that cannot be read" }));
  if (!answer.ok) throw new CallError(values.error ?? `status ${answer.status}`, answer.status, values.problems);
  return values;
}
