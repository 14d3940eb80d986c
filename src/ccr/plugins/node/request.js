'use strict';
// What a plugin gets and gives around the request: the client's request (`req`), the body, url and headers.

const CONTEXTS = 64;
const CONTEXT_BYTES = 32 * 1024 * 1024;

// The `req` objects of exchanges under way, so that a plugin finds what it left there when the answer
// comes. Those whose answer never comes are pushed out by newer ones.
class Contexts {
  constructor(logs) {
    this.logs = logs;
    this.kept = new Map(); // id -> {req, size}
    this.bytes = 0;
  }

  of(values, body) {
    const kept = this.kept.get(values.id);
    if (kept !== undefined) {
      // The route is known after the first hooks of an end point, and another one when it failed.
      return Object.assign(kept.req, { provider: values.provider, model: values.model });
    }
    const req = requestOf(values, body, this.logs);
    this.kept.set(values.id, { req, size: body.length });
    this.bytes += body.length;
    for (const id of this.kept.keys()) {
      if (id === values.id || (this.kept.size <= CONTEXTS && this.bytes <= CONTEXT_BYTES)) break;
      this.forget(id);
    }
    return req;
  }

  forget(id) {
    const kept = this.kept.get(id);
    if (kept === undefined) return;
    this.bytes -= kept.size;
    this.kept.delete(id);
  }
}

function requestOf(values, body, logs) {
  const req = { ...values, log: logs.logger({ name: 'req', level: logs.level }) };
  let parsed; // only plugins that look at it pay for it
  Object.defineProperty(req, 'body', {
    enumerable: true,
    configurable: true,
    get: () => (parsed ??= body.length ? JSON.parse(body.toString()) : {}),
    set: (value) => { parsed = value; },
  });
  return req;
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
