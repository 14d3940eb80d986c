// In the form of the file that Databricks Devbox writes: blank content, images, cache_control.
const fs = require('fs');
const os = require('os');
const path = require('path');

class DatabricksCustom {
  name = 'databricks-custom';

  constructor(options = {}) {
    this.options = options;
    this.debug = options.debug || false;
  }

  async transformRequestIn(request, provider, context) {
    this.log('INFO', 'transformRequestIn called');
    const messages = request.messages.map((message) => this.message(message));
    const { cache_control, ...rest } = { ...request, messages };
    return rest;
  }

  message(message) {
    const { cache_control, ...changed } = message;
    if (changed.content === '') changed.content = null;
    if (Array.isArray(changed.content)) changed.content = changed.content.map((item) => this.item(item));
    return changed;
  }

  item(item) {
    const { cache_control, ...rest } = item;
    if (rest.type === 'image_url' && rest.image_url?.url?.startsWith('data:') && !rest.image_url.url.includes('base64')) {
      return { ...rest, image_url: { ...rest.image_url, url: rest.image_url.url.replace(',', ';base64,') } };
    }
    return rest;
  }

  async transformResponseOut(response, context) {
    return response;
  }

  log(level, message) {
    if (!this.debug) return;
    const file = path.join(process.env.CCR_TEST_HOME || os.homedir(), 'devbox.log');
    try {
      fs.appendFileSync(file, `[${new Date().toISOString()}] [${level}] ${message}\n`);
    } catch (error) {
      console.error('Failed to write to log file', error.message);
    }
  }
}

module.exports = DatabricksCustom;
