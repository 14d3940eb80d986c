'use strict';
// What ccr and its Node child say to each other: frames on a Unix socket, one connection for each call.
//
//   frame = kind (1 byte) + length of the payload (4 bytes, big endian) + payload
//
//   J  JSON: the head of a call, the head of its answer
//   B  one whole body                      D  a piece of a stream       E  the end of the stream
//   H  JSON [plugin, hook]: that hook is entered now (so that ccr knows whom to name when no answer comes)
//   X  JSON {plugin, hook, message, ...}: the call failed, or the stream did; nothing follows
//
// Reading is on demand, so the socket's own flow control is the back-pressure in both directions.

const MAX_FRAME_BYTES = 64 * 1024 * 1024;
const HEADER_BYTES = 5;
const EMPTY = Buffer.alloc(0);

class Connection {
  constructor(socket) {
    this.socket = socket;
    this.isClosed = false;
    this.waiting = [];
    this.onClose = () => {};
    const wake = () => this.wake();
    socket.on('readable', () => {
      if (socket.readableLength === 0) socket.read(0); // sees the end also while nobody reads
      wake();
    });
    socket.on('drain', wake);
    socket.on('end', () => {
      if (!socket.writableEnded) socket.destroy(); // ccr never closes half: it has left
    });
    socket.on('error', () => {}); // 'close' follows, and that is what is listened to
    socket.on('close', () => {
      this.isClosed = true;
      this.onClose(); // cancels the plugins' streams, before who reads here makes errors of them
      wake();
    });
  }

  wake() {
    const waiting = this.waiting;
    this.waiting = [];
    for (const resolve of waiting) resolve();
  }

  changed() {
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  // -> {kind, data}, or null when the other side has left.
  async read() {
    const header = await this.exactly(HEADER_BYTES);
    if (header === null) return null;
    const size = header.readUInt32BE(1);
    if (size > MAX_FRAME_BYTES) throw new Error(`a frame of ${size} bytes; the limit is ${MAX_FRAME_BYTES}`);
    const data = await this.exactly(size);
    return data === null ? null : { kind: String.fromCharCode(header[0]), data };
  }

  async exactly(size) {
    if (size === 0) return EMPTY;
    for (;;) {
      const data = this.socket.read(size);
      if (data !== null) return data.length === size ? data : null;
      if (this.isClosed) return null;
      await this.changed();
    }
  }

  // True when more may be written at once. A hook's H frame leaves the process before the hook runs.
  write(kind, data) {
    if (data.length > MAX_FRAME_BYTES) {
      throw new Error(`a body of ${data.length} bytes; the limit is ${MAX_FRAME_BYTES}`);
    }
    const header = Buffer.allocUnsafe(HEADER_BYTES);
    header.write(kind, 0, 'latin1');
    header.writeUInt32BE(data.length, 1);
    if (data.length === 0) return this.socket.write(header);
    this.socket.cork();
    this.socket.write(header);
    const isFree = this.socket.write(data);
    this.socket.uncork();
    return isFree;
  }

  json(kind, value) {
    return this.write(kind, Buffer.from(JSON.stringify(value)));
  }

  // Wait until the other side has taken what was written.
  async drained() {
    while (this.socket.writableNeedDrain && !this.isClosed) await this.changed();
  }

  // The answer is complete. What still comes is read and thrown away: closing with unread bytes would
  // make the other side lose the end of the answer.
  finish() {
    this.socket.removeAllListeners('readable');
    this.socket.resume();
    this.socket.end();
  }
}

module.exports = { Connection, MAX_FRAME_BYTES };
