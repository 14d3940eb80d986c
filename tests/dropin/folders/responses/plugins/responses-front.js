// OpenAI's Responses API for clients, at a route of its own: text and function calls, streamed and whole.
const crypto = require('crypto');

const id = (kind) => `${kind}_${crypto.randomBytes(8).toString('hex')}`;

function textOf(content) {
  if (typeof content === 'string') return content;
  return (content ?? []).map((part) => part.text ?? '').join('');
}

function messagesFrom(request) {
  const messages = request.instructions ? [{ role: 'system', content: request.instructions }] : [];
  const items = typeof request.input === 'string' ? [{ role: 'user', content: request.input }] : request.input;
  for (const item of items) {
    if (item.type === 'function_call') {
      const call = { id: item.call_id, type: 'function', function: { name: item.name, arguments: item.arguments } };
      messages.push({ role: 'assistant', content: null, tool_calls: [call] });
    } else if (item.type === 'function_call_output') {
      messages.push({ role: 'tool', tool_call_id: item.call_id, content: item.output });
    } else {
      messages.push({ role: item.role, content: textOf(item.content) });
    }
  }
  return messages;
}

class ResponsesFront {
  static TransformerName = 'responses-front';

  constructor(options) {
    this.name = ResponsesFront.TransformerName;
    this.endPoint = '/v1/responses';
    this.options = options;
  }

  async transformRequestOut(request, context) {
    const chat = { model: request.model, messages: messagesFrom(request), stream: request.stream === true };
    if (request.max_output_tokens) chat.max_tokens = request.max_output_tokens;
    if (request.tools?.length) {
      chat.tools = request.tools.map(({ type, strict, ...fn }) => ({ type: 'function', function: fn }));
    }
    this.logger.debug('asked with %d items', chat.messages.length);
    return chat;
  }

  async transformResponseIn(response, context) {
    const frame = this.frame(context.req.body.model);
    if (!response.headers.get('content-type')?.includes('text/event-stream')) {
      return new Response(JSON.stringify(this.whole(frame, await response.json())), {
        status: response.status,
        headers: { 'content-type': 'application/json' },
      });
    }
    return new Response(response.body.pipeThrough(new TextDecoderStream()).pipeThrough(this.stream(frame)).pipeThrough(new TextEncoderStream()));
  }

  frame(model) {
    return {
      id: id('resp'), object: 'response', created_at: Math.floor(Date.now() / 1000), model, status: 'in_progress',
      output: [], parallel_tool_calls: true, tool_choice: 'auto', tools: [], store: this.options.store,
    };
  }

  finished(frame, output, usage) {
    const counts = usage && {
      input_tokens: usage.prompt_tokens, output_tokens: usage.completion_tokens, total_tokens: usage.total_tokens,
      input_tokens_details: { cached_tokens: 0 }, output_tokens_details: { reasoning_tokens: 0 },
    };
    return { ...frame, status: 'completed', output, usage: counts };
  }

  whole(frame, completion) {
    const { message } = completion.choices[0];
    const output = [];
    if (message.content) output.push(this.message(id('msg'), message.content));
    for (const call of message.tool_calls ?? []) output.push(this.call(call.id, call.function.name, call.function.arguments));
    return this.finished(frame, output, completion.usage);
  }

  message(itemId, text) {
    return { type: 'message', id: itemId, role: 'assistant', status: 'completed', content: [{ type: 'output_text', text, annotations: [] }] };
  }

  call(callId, name, args) {
    return { type: 'function_call', id: `fc_${callId}`, call_id: callId, name, arguments: args, status: 'completed' };
  }

  stream(frame) {
    let rest = '';
    let text = '';
    let usage;
    let sequence = 0;
    const itemId = id('msg');
    const calls = [];
    const send = (controller, type, values) => {
      controller.enqueue(`event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: sequence++, ...values })}\n\n`);
    };
    const take = (controller, chunk) => {
      usage = chunk.usage ?? usage;
      const delta = chunk.choices?.[0]?.delta ?? {};
      if (delta.content) {
        if (!text) {
          send(controller, 'response.output_item.added', { output_index: 0, item: { ...this.message(itemId, ''), content: [], status: 'in_progress' } });
          send(controller, 'response.content_part.added', { item_id: itemId, output_index: 0, content_index: 0, part: { type: 'output_text', text: '', annotations: [] } });
        }
        text += delta.content;
        send(controller, 'response.output_text.delta', { item_id: itemId, output_index: 0, content_index: 0, delta: delta.content, logprobs: [] });
      }
      for (const piece of delta.tool_calls ?? []) {
        const call = (calls[piece.index] ??= { id: piece.id, name: piece.function.name, args: '' });
        call.args += piece.function.arguments ?? '';
      }
    };
    return new TransformStream({
      start: (controller) => send(controller, 'response.created', { response: frame }),
      transform: (data, controller) => {
        const lines = (rest + data).split('\n');
        rest = lines.pop();
        for (const line of lines) if (line.startsWith('data: {')) take(controller, JSON.parse(line.slice(6)));
      },
      flush: (controller) => {
        const output = text ? [this.message(itemId, text)] : [];
        for (const item of output) send(controller, 'response.output_item.done', { output_index: 0, item });
        for (const call of calls) {
          const item = this.call(call.id, call.name, call.args);
          send(controller, 'response.output_item.done', { output_index: output.push(item) - 1, item });
        }
        send(controller, 'response.completed', { response: this.finished(frame, output, usage) });
      },
    });
  }
}

module.exports = ResponsesFront;
