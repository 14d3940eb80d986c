// Fails in the way the options name, in the hook they name.
const WAYS = {
  throw: () => { throw new Error('out of order'); },
  mistake: () => undefined.missing,
  text: () => { throw 'only a text'; },
  network: () => fetch('http://127.0.0.1:30999/'),
  exit: () => process.exit(3),
  loop: () => { for (;;); },
  never: () => new Promise(() => {}),
  nothing: () => undefined,
  later: (value) => { setTimeout(() => { throw new Error('much later'); }, 0); Promise.reject(new Error('nobody cares')); return value; },
};

module.exports = class Failing {
  name = 'failing';

  constructor(options) {
    this.options = options;
    if (options.hook === 'constructor') WAYS[options.way]();
  }

  async transformRequestIn(request) {
    return this.options.hook === 'transformRequestIn' ? WAYS[this.options.way](request) : request;
  }

  async auth(request, provider) {
    return this.options.hook === 'auth' ? WAYS[this.options.way](request) : { config: { headers: { 'x-auth': provider.apiKey } } };
  }

  async transformResponseOut(response) {
    if (this.options.hook === 'stream') {
      const { way } = this.options;
      return new Response(response.body.pipeThrough(new TransformStream({ transform: () => WAYS[way]() })));
    }
    return this.options.hook === 'transformResponseOut' ? WAYS[this.options.way](response) : response;
  }
};
