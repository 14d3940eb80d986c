// Passes chunks on with the platform's own back-pressure; tells when its stream was cancelled.
module.exports = class Piping {
  name = 'piping';

  constructor(options) {
    this.mark = options.mark ?? '';
    this.cancelled = new Promise((resolve) => { this.onCancelled = resolve; });
  }

  async transformRequestIn(request) {
    if (request.wait === 'cancelled') request.reason = String((await this.cancelled)?.message);
    return request;
  }

  async transformResponseOut(response) {
    const reader = response.body.getReader();
    const mark = new TextEncoder().encode(this.mark);
    return new Response(new ReadableStream({
      pull: async (controller) => {
        const { done, value } = await reader.read();
        if (done) return controller.close();
        controller.enqueue(mark.length ? Buffer.concat([value, mark]) : value);
      },
      cancel: (reason) => {
        this.onCancelled(reason);
        return reader.cancel(reason);
      },
    }), response);
  }
};
