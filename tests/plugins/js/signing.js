// Signs requests itself, with the key it is told, as plugins for gateways do.
module.exports = class Signing {
  name = 'signing';

  async transformRequestIn(body, provider) {
    this.logger.warn(`signing with ${provider.apiKey}`);
    console.error('Bearer', provider.api_key);
    return { body, config: { headers: { Authorization: `Bearer ${provider.apiKey}` } } };
  }
};
