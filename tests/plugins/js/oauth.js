// Community style: a token from a file, renewed over the network, another URL, headers set and deleted.
const fs = require('fs/promises');
const { ENDPOINT } = require('./oauth-constants.js');

module.exports = class OAuthTransformer {
  static TransformerName = 'oauth-cli';

  constructor(options) {
    this.options = options;
  }

  async transformRequestIn(request, provider, { req }) {
    if (!this.credentials) this.credentials = JSON.parse(await fs.readFile(this.options.file, 'utf8'));
    if (this.credentials.expiry_date < Date.now()) await this.refresh();
    this.logger.debug({ user: req.headers['user-agent'] }, 'sending for %s', req.sessionId);
    return {
      body: { ...request, stream: true },
      config: {
        url: new URL(`${ENDPOINT}?alt=sse`, provider.baseUrl),
        headers: new Headers({ Authorization: `Bearer ${this.credentials.access_token}` }),
      },
    };
  }

  async refresh() {
    const answer = await fetch(this.options.refreshUrl, {
      method: 'POST',
      body: new URLSearchParams({ refresh_token: this.credentials.refresh_token }),
      signal: AbortSignal.timeout(5000),
    });
    if (!answer.ok) throw new Error(`refresh failed: ${answer.status}`);
    this.credentials = { ...(await answer.json()), refresh_token: this.credentials.refresh_token };
    await fs.writeFile(this.options.file, JSON.stringify(this.credentials));
  }

  async transformResponseOut(response) {
    if (!response.headers.get('Content-Type')?.includes('application/json')) return response;
    const json = await response.json();
    return new Response(JSON.stringify({ ...json, through: 'oauth-cli' }), {
      status: response.status,
      statusText: response.statusText,
      headers: response.headers,
    });
  }
};
