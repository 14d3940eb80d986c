// Shows what it is given, and leaves a note on `req` for the answer.
module.exports = class Noting {
  name = 'noting';

  constructor(options) {
    this.options = options;
    this.calls = 0;
  }

  async transformRequestIn(request, provider, context) {
    this.calls += 1;
    context.req.note = `note ${this.calls}`;
    const { id, url, headers, sessionId, body } = context.req;
    return { ...request, options: this.options, calls: this.calls, provider, req: { id, url, headers, sessionId, body } };
  }

  async transformResponseOut(response, { req }) {
    return new Response(`${req.note} ${this.options.mark ?? ''}`, { headers: { 'x-model': req.body.model } });
  }
};
