'use strict';
// The answer on its way through the plugins' hooks: WHATWG Responses between frames that come and frames
// that go. Nothing is read from upstream while the client does not take what is there.

const NO_BODY = [204, 205, 304];
const DROPPED = ['content-length', 'content-encoding', 'transfer-encoding', 'connection', 'keep-alive'];

// The upstream's answer as the plugin sees it. call: the Call it belongs to.
function upstreamResponse(call, head) {
  const source = new ReadableStream(
    {
      async pull(controller) {
        await call.connection.drained();
        const frame = await call.forUpstream(call.connection.read());
        if (frame === null) return controller.error(new Error('the client has left'));
        if (frame.kind === 'D') return controller.enqueue(new Uint8Array(frame.data));
        if (frame.kind === 'E') return controller.close();
        return controller.error(new Error(JSON.parse(frame.data).message));
      },
    },
    { highWaterMark: 0 },
  );
  const body = NO_BODY.includes(head.status) ? null : source;
  return new Response(body, { status: head.status, headers: head.headers });
}

// Throws unless it is a Response, the plugin's own library's included.
function checkedResponse(value, hook) {
  const isResponse = typeof value?.status === 'number' && typeof value?.headers?.forEach === 'function';
  if (!isResponse) {
    throw new Error(`${hook} returned ${value === null ? 'null' : typeof value}; it must return a Response`);
  }
  return value;
}

function headOf(response) {
  const headers = [];
  response.headers.forEach((value, name) => {
    if (!DROPPED.includes(name.toLowerCase())) headers.push([name.toLowerCase(), value]);
  });
  return { status: response.status, headers };
}

// Reads a body piece by piece: `next()` -> {done, value}, `cancel()`. Streams of Node are taken as well.
function readerOf(body) {
  if (body === null || body === undefined) return { next: async () => ({ done: true }), cancel() {} };
  if (typeof body.getReader === 'function') {
    const reader = body.getReader();
    return { next: () => reader.read(), cancel: (reason) => reader.cancel(reason).catch(() => {}) };
  }
  const iterator = body[Symbol.asyncIterator]();
  return { next: () => iterator.next(), cancel: () => body.destroy?.() };
}

// The same Response, but an error of its body says whose it is: in a chain the last hook would be blamed.
function named(response, plugin, owners) {
  if (!response.body?.getReader) return response;
  const reader = readerOf(response.body);
  const body = new ReadableStream(
    {
      async pull(controller) {
        try {
          const { done, value } = await reader.next();
          return done ? controller.close() : controller.enqueue(value);
        } catch (error) {
          if (typeof error === 'object' && error !== null && !owners.has(error)) owners.set(error, plugin);
          throw error;
        }
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
  return new Response(body, { status: response.status, headers: response.headers });
}

function bytesOf(value) {
  if (typeof value === 'string') return Buffer.from(value);
  if (value instanceof ArrayBuffer) return Buffer.from(value);
  if (ArrayBuffer.isView(value)) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  throw new Error(`the body of the Response holds ${typeof value}; it must hold bytes`);
}

module.exports = { upstreamResponse, checkedResponse, headOf, named, readerOf, bytesOf };
