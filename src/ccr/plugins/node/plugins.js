'use strict';
// Plugin files and the objects made of them: one object for each use in a chain.

const path = require('node:path');
const { createRequire } = require('node:module');
const { pathToFileURL } = require('node:url');
const { running } = require('./logs.js');

const HOOKS = [
  'transformRequestIn', 'transformRequestOut', 'transformResponseIn', 'transformResponseOut', 'auth',
];

class Plugins {
  constructor(logs) {
    this.logs = logs;
    this.classes = new Map(); // name -> class
    this.instances = new Map(); // id -> {name, level, object}
    this.spare = new Map(); // name -> {options, object}: made by load, taken by the first equal use
  }

  // -> {name, endPoint, hooks}
  async load(file, options, level) {
    const origin = { name: path.basename(file), level };
    return running.run(origin, async () => {
      const exported = await moduleOf(file);
      const Class = classOf(exported, file);
      const object = new Class(options);
      const name = object.name ?? Class.TransformerName;
      if (typeof name !== 'string' || name === '') throw new Error('the plugin has no name: set `name` in its class');
      this.classes.set(name, Class);
      this.spare.set(name, { options: JSON.stringify(options), object });
      const endPoint = object.endPoint ? String(object.endPoint) : null;
      return { name, endPoint, hooks: HOOKS.filter((hook) => typeof object[hook] === 'function') };
    });
  }

  async instance(id, name, options, level) {
    const Class = this.classes.get(name);
    if (Class === undefined) throw new Error(`no plugin of the name ${name} is loaded`);
    const origin = { name, level };
    const spare = this.spare.get(name);
    this.spare.delete(name);
    const isSame = spare !== undefined && spare.options === JSON.stringify(options);
    const object = isSame ? spare.object : running.run(origin, () => new Class(options));
    object.logger = this.logs.logger(origin);
    this.instances.set(id, { ...origin, object, origin });
  }

  get(id) {
    const instance = this.instances.get(id);
    if (instance === undefined) throw new Error(`no object ${id} of a plugin`);
    return instance;
  }

  release(id) {
    this.instances.delete(id);
  }
}

// CommonJS as the npm router has it; ES modules where CommonJS does not take them.
async function moduleOf(file) {
  try {
    return createRequire(file)(file);
  } catch (error) {
    const isModule = error.code === 'ERR_REQUIRE_ESM' || error.code === 'ERR_REQUIRE_ASYNC_MODULE'
      || /Cannot use import statement|Unexpected token 'export'/.test(String(error.message));
    if (!isModule) throw error;
    return import(pathToFileURL(file).href);
  }
}

function classOf(exported, file) {
  const Class = typeof exported === 'function' ? exported : exported?.default?.default ?? exported?.default;
  if (typeof Class !== 'function') throw new Error(`${path.basename(file)} exports no class: it needs \`module.exports = class …\``);
  return Class;
}

module.exports = { Plugins, moduleOf, classOf };
