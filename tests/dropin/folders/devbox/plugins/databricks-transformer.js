/**
 * In the form of the transformer that Databricks Devbox installs: four repairs of the request, and a log of its own.
 * Like that one it leaves parallel_tool_calls where it is: what it takes out of is thrown away.
 */
const fs = require('fs');
const os = require('os');
const path = require('path');

class DatabricksTransformer {
  name = 'databricks-custom';

  constructor(options = {}) {
    this.options = options;
    this.debug = options.debug || false;
    this.logFile = path.join(os.homedir(), '.claude-code-router', 'plugin.log');
  }

  log(level, message, data) {
    if (!this.debug && level !== 'ERROR') return;
    const line = `[${new Date().toISOString()}] [${level}] ${message}${data ? ' ' + JSON.stringify(data) : ''}\n`;
    try {
      fs.appendFileSync(this.logFile, line);
    } catch (error) {
      console.error('Failed to write to log file:', error.message);
    }
  }

  cleanItem(item) {
    const { cache_control, ...cleaned } = item;
    if (cleaned.type === 'image_url' && cleaned.image_url?.url && !cleaned.image_url.url.includes('base64')) {
      const { url } = cleaned.image_url;
      const fixed = url.startsWith('data:') ? url.replace(',', ';base64,') : `data:image/png;base64,${url}`;
      this.log('INFO', 'image URL fixed');
      return { ...cleaned, image_url: { ...cleaned.image_url, url: fixed } };
    }
    return cleaned;
  }

  cleanMessage(message) {
    const { cache_control, ...cleaned } = message;
    if (cleaned.content === '') cleaned.content = null;
    if (Array.isArray(cleaned.content)) cleaned.content = cleaned.content.map((item) => this.cleanItem(item));
    return cleaned;
  }

  async transformRequestIn(request, provider, context) {
    this.log('DEBUG', 'transformRequestIn called', { model: request.model, url: provider.api_base_url });
    try {
      const { parallel_tool_calls, ...cleanRequest } = request;
      if (Array.isArray(cleanRequest.messages)) {
        request = { ...request, messages: cleanRequest.messages.map((message) => this.cleanMessage(message)) };
      }
      return { ...request };
    } catch (error) {
      this.log('ERROR', 'Error in transformRequestIn', { message: error.message });
      throw error;
    }
  }

  async transformResponseOut(response, context) {
    this.log('DEBUG', 'transformResponseOut called', { status: response.status });
    return response;
  }
}

module.exports = DatabricksTransformer;
