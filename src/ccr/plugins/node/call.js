'use strict';
// One call of ccr, its connection and its clock. The clock runs only while the plugin has all it needs and
// we wait for it: time the upstream takes, or the client, is not the plugin's.

const { running } = require('./logs.js');

class Call {
  constructor(connection, deadlineMs) {
    this.connection = connection;
    this.deadlineMs = deadlineMs;
    this.plugin = null;
    this.hook = null;
    this.owners = new WeakMap(); // error -> name of the plugin whose body failed
    this.timer = null;
    this.isWaiting = false; // for the plugin
    this.reads = 0; // the plugin's reads of the upstream that are under way
    this.isOver = false;
    this.onOver = () => {};
    connection.onClose = () => this.over();
  }

  // Run a hook of an instance and return what it returns.
  async run(instance, hook, action) {
    this.enter(instance.name, hook);
    return this.forPlugin(running.run(instance.origin, async () => action(instance.object)));
  }

  enter(plugin, hook) {
    this.plugin = plugin;
    this.hook = hook;
    this.connection.json('H', [plugin, hook]);
  }

  async forPlugin(promise) {
    this.isWaiting = true;
    this.tick();
    try {
      return await promise;
    } finally {
      this.isWaiting = false;
      this.tick();
    }
  }

  async forUpstream(promise) {
    this.reads += 1;
    this.tick();
    try {
      return await promise;
    } finally {
      this.reads -= 1;
      this.tick();
    }
  }

  tick() {
    clearTimeout(this.timer);
    if (!this.isWaiting || this.reads > 0 || this.isOver) return;
    this.timer = setTimeout(() => this.late(), this.deadlineMs);
  }

  late() {
    const error = new Error(`no answer within ${this.deadlineMs / 1000} s`);
    this.fail(error, { late: true });
  }

  fail(error, more = {}) {
    if (this.isOver) return;
    const isError = error instanceof Error || typeof error?.message === 'string';
    const fault = {
      plugin: (isError && this.owners.get(error)) || this.plugin,
      hook: this.hook,
      type: isError ? String(error.name) : '',
      message: isError ? String(error.message) : String(error),
      cause: error?.cause?.message ? String(error.cause.message) : '',
      stack: isError && error.stack ? String(error.stack) : '',
      ...more,
    };
    this.connection.json('X', fault);
    this.finish();
  }

  finish() {
    this.over();
    this.connection.finish();
  }

  over() {
    if (this.isOver) return;
    this.isOver = true;
    clearTimeout(this.timer);
    this.onOver();
  }
}

module.exports = { Call };
