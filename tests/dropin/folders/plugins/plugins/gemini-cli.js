// Another dialect altogether: the request becomes "contents", the answer comes back as "candidates".
const fs = require('fs');
const os = require('os');
const path = require('path');

const CREDENTIALS = path.join(os.homedir(), '.gemini', 'oauth_creds.json');
const ROLES = { assistant: 'model' };

function textOf(content) {
  return typeof content === 'string' ? content : (content || []).map((part) => part.text || '').join('');
}

function finishOf(candidate) {
  return candidate.finishReason ? candidate.finishReason.toLowerCase() : null;
}

class GeminiCLITransformer {
  static TransformerName = 'gemini-cli';
  name = 'gemini-cli';

  constructor(options) {
    this.options = options;
  }

  async transformRequestIn(request, provider) {
    const { access_token } = JSON.parse(fs.readFileSync(CREDENTIALS, 'utf8'));
    const said = request.messages.filter((message) => message.role !== 'system');
    const method = request.stream ? 'streamGenerateContent?alt=sse' : 'generateContent';
    return {
      body: {
        model: request.model,
        project: this.options.project,
        request: {
          contents: said.map(({ role, content }) => ({ role: ROLES[role] || 'user', parts: [{ text: textOf(content) }] })),
          tools: [{ functionDeclarations: (request.tools || []).map((tool) => tool.function) }],
        },
      },
      config: {
        url: new URL(`https://cloudcode-pa.googleapis.com/v1internal:${method}`),
        headers: { Authorization: `Bearer ${access_token}`, 'user-agent': 'GeminiCLI/v22.12.0 (darwin; arm64)' },
      },
    };
  }

  async transformResponseOut(response) {
    const type = response.headers.get('Content-Type') || '';
    if (type.includes('application/json')) {
      const { response: answer } = await response.json();
      const [candidate] = answer.candidates;
      const message = { role: 'assistant', content: candidate.content.parts.map((part) => part.text).join('') };
      const made = {
        id: answer.responseId,
        object: 'chat.completion',
        model: answer.modelVersion,
        choices: [{ index: 0, finish_reason: finishOf(candidate), message }],
        usage: this.usage(answer),
      };
      return new Response(JSON.stringify(made), { status: response.status, statusText: response.statusText, headers: response.headers });
    }
    if (!type.includes('stream')) return response;
    const decoder = new TextDecoder();
    const encoder = new TextEncoder();
    let buffer = '';
    const processLine = (line, controller) => {
      if (!line.startsWith('data: ')) return;
      const answer = JSON.parse(line.slice(6)).response;
      const [candidate] = answer.candidates;
      const delta = { role: 'assistant', content: candidate.content.parts.map((part) => part.text).join('') };
      const chunk = {
        id: answer.responseId,
        object: 'chat.completion.chunk',
        model: answer.modelVersion,
        choices: [{ index: 0, delta, finish_reason: finishOf(candidate) }],
        usage: this.usage(answer),
      };
      controller.enqueue(encoder.encode(`data: ${JSON.stringify(chunk)}\n\n`));
    };
    const stream = new ReadableStream({
      async start(controller) {
        const reader = response.body.getReader();
        try {
          while (true) {
            const { done, value } = await reader.read();
            if (done) {
              if (buffer) processLine(buffer, controller);
              break;
            }
            buffer += decoder.decode(value, { stream: true });
            const lines = buffer.split('\n');
            buffer = lines.pop() || '';
            for (const line of lines) processLine(line.trim(), controller);
          }
        } catch (error) {
          controller.error(error);
        } finally {
          controller.close();
        }
      },
    });
    return new Response(stream, { status: response.status, statusText: response.statusText, headers: response.headers });
  }

  usage({ usageMetadata: counts = {} }) {
    return {
      prompt_tokens: counts.promptTokenCount,
      completion_tokens: counts.candidatesTokenCount,
      total_tokens: counts.totalTokenCount,
    };
  }
}

module.exports = GeminiCLITransformer;
