// Rewrites the text of a stream in the way most plugins do it: a loop in `start`, lines kept over chunks.
class Streaming {
  name = 'streaming';

  async transformResponseOut(response, context) {
    const reader = response.body.getReader();
    const decoder = new TextDecoder();
    const encoder = new TextEncoder();
    let rest = '';
    const send = (controller, line) => {
      if (!line.startsWith('data: {')) return controller.enqueue(encoder.encode(`${line}\n`));
      const chunk = JSON.parse(line.slice(6));
      const delta = chunk.choices?.[0]?.delta;
      if (delta?.content) delta.content = delta.content.toUpperCase();
      controller.enqueue(encoder.encode(`data: ${JSON.stringify(chunk)}\n`));
    };
    const stream = new ReadableStream({
      async start(controller) {
        try {
          for (;;) {
            const { done, value } = await reader.read();
            if (done) break;
            const lines = (rest + decoder.decode(value, { stream: true })).split('\n');
            rest = lines.pop();
            for (const line of lines) send(controller, line);
          }
          if (rest) send(controller, rest);
          controller.close();
        } catch (error) {
          controller.error(error);
        }
      },
      cancel(reason) {
        reader.cancel(reason);
      },
    });
    return new Response(stream, {
      status: response.status,
      headers: { 'content-type': 'text/event-stream', 'x-rewritten': 'yes', 'content-length': '5' },
    });
  }
}
exports.default = Streaming;
