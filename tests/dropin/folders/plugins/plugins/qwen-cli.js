// The login of another program: its token file is read, renewed when it is over, and says where requests go.
const fs = require('fs/promises');
const os = require('os');
const path = require('path');

const OAUTH_FILE = path.join(os.homedir(), '.qwen', 'oauth_creds.json');

class QwenCLITransformer {
  name = 'qwen-cli';

  async transformRequestIn(request, provider) {
    if (!this.oauth_creds) {
      await this.getOauthCreds();
    }
    if (this.oauth_creds && this.oauth_creds.expiry_date < +new Date()) {
      await this.refreshToken(this.oauth_creds.refresh_token);
    }
    if (request.stream) {
      request.stream_options = { include_usage: true };
    }
    return {
      body: request,
      config: {
        url: new URL(`${this.oauth_creds.resource_url}/v1/chat/completions`),
        headers: {
          Authorization: `Bearer ${this.oauth_creds.access_token}`,
          'User-Agent': `QwenCode/v22.12.0 (${process.platform}; ${process.arch})`,
        },
      },
    };
  }

  async refreshToken(refresh_token) {
    const urlencoded = new URLSearchParams();
    urlencoded.append('client_id', 'an-id-that-anybody-knows');
    urlencoded.append('refresh_token', refresh_token);
    urlencoded.append('grant_type', 'refresh_token');
    const response = await fetch('https://chat.qwen.ai/api/v1/oauth2/token', {
      method: 'POST',
      headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
      body: urlencoded,
    });
    const data = await response.json();
    data.expiry_date = Date.now() + data.expires_in * 1000 - 60000;
    data.refresh_token = refresh_token;
    delete data.expires_in;
    this.oauth_creds = data;
    await fs.writeFile(OAUTH_FILE, JSON.stringify(data, null, 2));
    this.logger?.info({ until: data.expiry_date }, 'token renewed');
  }

  async getOauthCreds() {
    try {
      const data = await fs.readFile(OAUTH_FILE);
      this.oauth_creds = JSON.parse(data);
    } catch (e) {
      console.error('no login of qwen', e.message);
    }
  }
}

module.exports = QwenCLITransformer;
