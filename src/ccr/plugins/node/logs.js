'use strict';
// Everything plugins say goes to plugin.log: their logger, their console, what they leave uncaught.
// Records are written to a pipe at once, so that those before a crash arrive.

const fs = require('node:fs');
const util = require('node:util');
const { AsyncLocalStorage } = require('node:async_hooks');
const { Console } = require('node:console');
const { Writable } = require('node:stream');

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'];
const CONSOLE_LEVELS = { trace: 'trace', debug: 'debug', log: 'info', info: 'info', warn: 'warn', error: 'error' };
const TEXT_CHARACTERS = 8000;

// Which plugin runs now, in everything that it started: {name, level}.
const running = new AsyncLocalStorage();

class Logs {
  constructor(fd, level) {
    this.fd = fd;
    this.level = level;
  }

  tell(record) {
    try {
      fs.writeSync(this.fd, `${JSON.stringify(record)}\n`);
    } catch {
      // ccr has left: this process ends as well
    }
  }

  write(level, text, origin = running.getStore()) {
    const threshold = origin ? origin.level : this.level;
    if (!isLogged(level, threshold)) return;
    const plugin = origin ? origin.name : 'plugins';
    const cut = text.length > TEXT_CHARACTERS ? `${text.slice(0, TEXT_CHARACTERS)}… (${text.length} characters)` : text;
    this.tell({ plugin, level, text: cut });
  }

  // A logger in the form of pino: logger.info("text %s", value) and logger.info({err}, "text").
  logger(origin) {
    const logger = { level: origin.level, silent() {}, child: () => logger };
    logger.isLevelEnabled = (level) => isLogged(level, origin.level);
    for (const level of LEVELS) {
      logger[level] = (...args) => {
        if (isLogged(level, origin.level)) this.write(level, worded(args), origin);
      };
    }
    return logger;
  }

  takeConsole() {
    const sink = (level) =>
      new Console({ stdout: this.lines(level), stderr: this.lines('error'), colorMode: false });
    const plain = sink('info');
    for (const name of Object.keys(plain)) {
      if (typeof plain[name] === 'function') console[name] = plain[name];
    }
    for (const [name, level] of Object.entries(CONSOLE_LEVELS)) {
      console[name] = (...args) => this.write(level, util.format(...args));
    }
  }

  lines(level) {
    return new Writable({
      decodeStrings: false,
      write: (text, encoding, done) => {
        this.write(level, String(text).replace(/\n$/, ''));
        done();
      },
    });
  }
}

function isLogged(level, threshold) {
  return LEVELS.includes(threshold) && LEVELS.indexOf(level) >= LEVELS.indexOf(threshold);
}

function worded(args) {
  const [first, ...rest] = args;
  if (typeof first !== 'object' || first === null) return util.format(...args);
  const fields = first instanceof Error ? first.stack : util.inspect(first, { breakLength: Infinity, depth: 6 });
  return rest.length ? `${util.format(...rest)} ${fields}` : fields;
}

module.exports = { Logs, running };
