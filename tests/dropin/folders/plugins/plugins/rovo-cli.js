// Headers only: the key of the provider goes, the person's own credentials come.
module.exports = class RovoCLITransformer {
  name = 'rovo-cli';

  constructor(options) {
    this.credentials = Buffer.from(`${options.email}:${options.token}`).toString('base64');
  }

  async transformRequestIn(request, provider) {
    return {
      body: { request_payload: { messages: request.messages, tools: request.tools, stream: request.stream }, platform_attributes: { model: request.model } },
      config: {
        url: new URL(provider.baseUrl + '/chat/completions'),
        headers: { authorization: undefined, 'x-atlassian-encodedtoken': this.credentials, Accept: '*/*' },
      },
    };
  }
};
