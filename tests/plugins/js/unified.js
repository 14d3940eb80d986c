// Written for the npm router's format: thinking as `reasoning` and `message.thinking`; notes what it sees.
module.exports = class Unified {
  name = 'unified';

  constructor(options) {
    this.options = options;
  }

  async transformRequestIn(request, provider) {
    this.logger.error(JSON.stringify({ seen: request.reasoning, messages: request.messages, key: provider.apiKey }));
    if (!this.options.takes) return request;
    const { reasoning, ...rest } = request;
    const messages = request.messages.map(({ thinking, ...message }) => (
      thinking ? { ...message, reasoning_content: thinking.content } : message
    ));
    return { ...rest, messages, enable_thinking: Boolean(reasoning?.enabled) };
  }
};
