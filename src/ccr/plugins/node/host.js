'use strict';
// The Node child of ccr: hosts the JavaScript plugins of a configuration, all in one process.
// node host.js SOCKET LOG_FD LEVEL DEADLINE_MS; ends when its standard input does. See frames.js.

const fs = require('node:fs');
const net = require('node:net');
const { EventEmitter } = require('node:events');
const { Connection } = require('./frames.js');
const { Logs, running } = require('./logs.js');
const { Plugins, moduleOf, classOf } = require('./plugins.js');
const { Contexts, unpacked } = require('./request.js');
const { Call } = require('./call.js');
const answers = require('./answer.js');

const [socketPath, logFd, level, deadlineMs] = process.argv.slice(2);
const logs = new Logs(Number(logFd), level);
const plugins = new Plugins(logs);
const contexts = new Contexts(logs);
const event = new EventEmitter();

const ACTIONS = {
  async ping(call) {
    call.connection.json('J', {});
  },

  async load(call, head) {
    call.deadlineMs = Math.min(call.deadlineMs, head.deadlineMs);
    call.enter(head.path, 'load');
    call.connection.json('J', await call.forPlugin(plugins.load(head.path, head.options, head.level)));
  },

  async instance(call, head) {
    call.enter(head.name, 'constructor');
    await call.forPlugin(plugins.instance(head.id, head.name, head.options, head.level));
    call.connection.json('J', {});
  },

  async release(call, head) {
    plugins.release(head.id);
    call.connection.json('J', {});
  },

  async request(call, head) {
    const req = contexts.of(head.context, (await call.connection.read()).data);
    let body = JSON.parse((await call.connection.read()).data.toString());
    const config = {};
    const rules = [];
    const instance = plugins.get(head.instance);
    for (const hook of head.hooks) {
      const args = hook === 'transformRequestOut' ? [body, { req }] : [body, head.provider, { req }];
      const result = await call.run(instance, hook, (object) => object[hook](...args));
      const parts = unpacked(result, hook);
      body = parts.body ?? body;
      Object.assign(config, parts.config, { headers: { ...config.headers, ...parts.config.headers } });
      rules.push(...parts.rules);
    }
    call.connection.json('J', { ...config, rules });
    call.connection.write('B', Buffer.from(JSON.stringify(body)));
  },

  async response(call, head) {
    const req = contexts.of(head.context, (await call.connection.read()).data);
    let response = answers.upstreamResponse(call, head);
    call.onOver = () => {
      if (head.isLast) contexts.forget(head.context.id);
      response.body?.cancel?.('the client has left')?.catch?.(() => {}); // refused when a reader holds it
    };
    for (const id of head.instances) {
      const current = response;
      const instance = plugins.get(id);
      const next = await call.run(instance, head.hook, (object) => object[head.hook](current, { req }));
      response = answers.checkedResponse(next, head.hook);
      if (head.instances.length > 1) response = answers.named(response, instance.name, call.owners);
    }
    await relay(call, response);
  },

  // A router file is only loaded here: what it exports is called for requests.
  async router(call, head) {
    call.enter(head.path, 'load');
    const origin = { name: 'CUSTOM_ROUTER_PATH', level: logs.level };
    await call.forPlugin(running.run(origin, async () => classOf(await moduleOf(head.path), head.path)));
    call.connection.json('J', {});
  },

  async route(call, head) {
    call.enter(head.path, 'route');
    const route = classOf(await call.forPlugin(moduleOf(head.path)), head.path);
    const origin = { name: 'CUSTOM_ROUTER_PATH', level: logs.level };
    const req = { ...head.request, log: logs.logger(origin) };
    const model = await call.forPlugin(running.run(origin, async () => route(req, head.config, { event })));
    if (model && typeof model !== 'string') throw new Error(`the router returned ${typeof model}; it must return a string or null`);
    call.connection.json('J', { model: model || null });
  },
};

async function relay(call, response) {
  const reader = answers.readerOf(response.body);
  const forget = call.onOver;
  call.onOver = () => {
    forget();
    reader.cancel(new Error('the client has left'));
  };
  if (call.isOver) return call.onOver();
  call.connection.json('J', answers.headOf(response));
  for (;;) {
    const { done, value } = await call.forPlugin(reader.next());
    if (done || call.isOver) break;
    const data = answers.bytesOf(value);
    if (data.length && !call.connection.write('D', data)) await call.connection.drained();
  }
  if (!call.isOver) call.connection.write('E', Buffer.alloc(0));
}

async function serve(socket) {
  const connection = new Connection(socket);
  const call = new Call(connection, Number(deadlineMs));
  try {
    const frame = await connection.read();
    if (frame === null) return socket.destroy();
    const head = JSON.parse(frame.data.toString());
    await ACTIONS[head.do](call, head);
    if (!call.isOver) call.finish();
  } catch (error) {
    call.fail(error);
  }
}

function start() {
  if (typeof Response === 'undefined') {
    logs.tell({ fatal: `it is Node.js ${process.version}; 18 or newer is needed` });
    process.exit(1);
  }
  logs.takeConsole();
  const exit = process.exit.bind(process);
  process.exit = (code) => {
    logs.write('error', `process.exit(${code ?? ''}) called${new Error().stack.replace(/^Error/, '')}`);
    exit(code);
  };
  // The npm router goes on after these, so do the plugins' other requests here.
  process.on('uncaughtException', (error) => logs.write('error', `Uncaught: ${error?.stack ?? error}`));
  process.on('unhandledRejection', (error) => logs.write('error', `Unhandled rejection: ${error?.stack ?? error}`));
  process.stdin.on('end', () => exit(0)).on('error', () => exit(0)).resume();
  const server = net.createServer({ allowHalfOpen: true }, serve);
  server.listen(socketPath, () => {
    fs.chmodSync(socketPath, 0o600);
    logs.tell({ ready: process.version });
  });
}

start();
