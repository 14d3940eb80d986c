// A client's form of its own, much like OpenAI's Responses API, at a route of its own; streams and whole.
module.exports = class Responses {
  name = 'responses';
  endPoint = '/v1/responses';

  constructor(options) {
    this.options = options ?? {};
  }

  async transformRequestOut(request, { req }) {
    if (request.input === 'throw') throw new TypeError('no such input');
    if (request.input === 'nonsense') return { nothing: true };
    req.note = `note on ${request.input}`;
    const chat = { messages: [{ role: 'user', content: request.input }], stream: request.stream };
    if (request.input !== 'nameless') chat.model = request.model;
    if (request.elsewhere) return { body: chat, config: { url: request.elsewhere, headers: { 'x-end-point': 'yes' } } };
    return chat;
  }

  // For providers that speak the form themselves, beside others.
  async transformRequestIn(request, provider) {
    return { ...request, seen_by: `${this.name} for ${provider.name}` };
  }

  async auth(request, provider) {
    if (request.input === 'no auth') throw new Error('the login is over');
    return { body: request, config: { headers: { authorization: `Own ${provider.apiKey}`, 'x-auth': 'responses' } } };
  }

  async transformResponseIn(response, { req }) {
    const is_stream = response.headers.get('content-type')?.includes('text/event-stream');
    if (req.body.input === 'headers') return new Response(JSON.stringify(req.headers));
    if (req.body.input === 'fail at once') throw new Error('no paper');
    if (req.body.input === 'endless') return new Response(new ReadableStream({ pull: (c) => c.enqueue(new Uint8Array(1 << 20)) }));
    if (req.body.input === 'refuse') return new Response('{"refused":true}', { status: 422 });
    if (!is_stream) {
      const completion = await response.json();
      const output = completion.choices[0].message.content;
      return new Response(JSON.stringify({ output, note: req.note, route: `${req.provider},${req.model}`, url: req.url }));
    }
    const reader = response.body.getReader();
    const decoder = new TextDecoder();
    let rest = '';
    const encoder = new TextEncoder();
    return new Response(new ReadableStream({
      async pull(controller) {
        for (;;) {
          const { done, value } = await reader.read();
          if (done) return controller.close();
          const lines = (rest + decoder.decode(value, { stream: true })).split('\n');
          rest = lines.pop();
          let out = '';
          for (const line of lines) {
            if (!line.startsWith('data: {')) continue;
            const text = JSON.parse(line.slice(6)).choices?.[0]?.delta?.content;
            if (req.body.input === 'fail later') throw new Error('out of paper');
            if (text) out += `data: ${JSON.stringify({ type: 'output_text.delta', delta: text, note: req.note })}\n\n`;
          }
          if (out) return controller.enqueue(encoder.encode(out));
        }
      },
      cancel: (reason) => reader.cancel(reason),
    }));
  }
};
