// GLM thinks in tags that its host leaves in the text: asks for it in the prompt, and takes the tags out of the stream.
class GLMThinking {
  constructor(options) {
    this.name = 'glm-thinking';
    this.options = options || {};
  }

  async transformRequestIn(request, provider, context) {
    const mode = this.options.thinking === false ? '/nothink' : '/think';
    const messages = request.messages.slice();
    messages[0] = { role: 'system', content: `${mode} ${this.textOf(messages[0].content)}` };
    this.logger.debug(`asked ${provider.name} with ${mode} for ${context.req.id}`);
    delete request.reasoning;
    return { ...request, messages, max_tokens: 8192 };
  }

  async transformResponseOut(response) {
    if (!response.headers.get('Content-Type')?.includes('stream')) {
      const json = await response.json();
      const { message } = json.choices[0];
      const parts = message.content.split('</think>');
      message.content = parts.pop();
      if (parts.length) message.reasoning_content = parts[0].replace('<think>', '');
      return new Response(JSON.stringify(json), { status: response.status, headers: response.headers });
    }
    let thinks = false;
    let rest = '';
    const decoder = new TextDecoder();
    const encoder = new TextEncoder();
    const rewritten = new TransformStream({
      transform(data, controller) {
        const events = (rest + decoder.decode(data, { stream: true })).split('\n\n');
        rest = events.pop();
        for (const event of events) {
          if (event === 'data: [DONE]') {
            controller.enqueue(encoder.encode('data: [DONE]\n\n'));
            continue;
          }
          const chunk = JSON.parse(event.slice('data: '.length));
          const delta = chunk.choices[0]?.delta;
          if (delta?.content === '<think>' || delta?.content === '</think>') {
            thinks = delta.content === '<think>';
            continue;
          }
          if (delta?.content && thinks) chunk.choices[0].delta = { reasoning_content: delta.content };
          controller.enqueue(encoder.encode(`data: ${JSON.stringify(chunk)}\n\n`));
        }
      },
    });
    return new Response(response.body.pipeThrough(rewritten), { headers: { 'Content-Type': 'text/event-stream' } });
  }

  textOf(content) {
    return typeof content === 'string' ? content : content.map((part) => part.text).join('\n');
  }
}

module.exports = GLMThinking;
