'use strict';
// What a plugin gets and gives around the request: the client's request (`req`), the body, url and headers.

const CONTEXTS = 2048; // as many requests as ccr takes at a time
const BODY_BYTES = 32 * 1024 * 1024;

// The `req` objects of exchanges under way, so that a plugin finds what it left there when the answer
// comes. Those whose answer never comes are pushed out by newer ones, and the bodies of the oldest before
// that: each call brings the body again.
class Contexts {
  constructor(logs) {
    this.logs = logs;
    this.kept = new Map(); // id -> {req, body, size}
    this.bytes = 0;
  }

  of(values, data) {
    let kept = this.kept.get(values.id);
    if (kept === undefined) {
      kept = { ...requestOf(values, this.logs), size: 0 };
      this.kept.set(values.id, kept);
    }
    if (kept.body.data === null) {
      kept.body.data = data;
      kept.size = data.length;
      this.bytes += kept.size;
    }
    this.makeRoom(values.id);
    // The route is known after the first hooks of an end point, and another one when it failed.
    return Object.assign(kept.req, { provider: values.provider, model: values.model });
  }

  makeRoom(id) {
    for (const [other, kept] of this.kept) {
      if (this.bytes <= BODY_BYTES && this.kept.size <= CONTEXTS) return;
      if (other === id) continue;
      this.letGo(kept);
      if (this.kept.size > CONTEXTS) this.kept.delete(other);
    }
  }

  letGo(kept) {
    this.bytes -= kept.size;
    Object.assign(kept, { size: 0 });
    Object.assign(kept.body, { data: null, parsed: undefined });
  }

  forget(id) {
    const kept = this.kept.get(id);
    if (kept === undefined) return;
    this.bytes -= kept.size; // who still holds it keeps its body
    this.kept.delete(id);
  }
}

function requestOf(values, logs) {
  const req = { ...values, log: logs.logger({ name: 'req', level: logs.level }) };
  const body = { data: null, parsed: undefined }; // only plugins that look at it pay for parsing it
  Object.defineProperty(req, 'body', {
    enumerable: true,
    configurable: true,
    get: () => {
      if (body.data === null) return body.parsed ?? {};
      return (body.parsed ??= body.data.length ? JSON.parse(body.data.toString()) : {});
    },
    set: (value) => { body.parsed = value; },
  });
  return { req, body };
}

// What a hook of a request returned -> {body, config, rules}, config with url and headers as plain values;
// body undefined: it stays as it was.
function unpacked(result, hook) {
  if (typeof result !== 'object' || result === null) {
    throw new Error(`${hook} returned ${result === null ? 'null' : typeof result}; it must return the request`);
  }
  const hasConfig = Boolean(result.body) || (result.config !== undefined && result.messages === undefined);
  if (!hasConfig) return { body: result, config: {}, rules: [] };
  const given = result.config ?? {};
  const config = {};
  if (given.url) config.url = String(given.url);
  if (given.headers) config.headers = plainHeaders(given.headers);
  if (Number(given.TIMEOUT) > 0) config.timeout_s = Number(given.TIMEOUT) / 1000;
  const rules = [];
  if (given.signal) rules.push('plugin_signal_ignored');
  if (given.httpsProxy) rules.push('plugin_https_proxy_ignored');
  return { body: result.body, config, rules };
}

function plainHeaders(headers) {
  const pairs = typeof headers.entries === 'function' ? [...headers.entries()] : Object.entries(headers);
  const plain = {};
  for (const [name, value] of pairs) plain[name] = value === undefined || value === null ? null : String(value);
  return plain;
}

module.exports = { Contexts, unpacked };
