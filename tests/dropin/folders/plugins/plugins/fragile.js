// Does what nobody should: fails, or takes its process down, when the prompt says so.
module.exports = class Fragile {
  name = 'fragile';

  async transformRequestIn(request) {
    const asked = JSON.stringify(request.messages);
    if (asked.includes('please throw')) throw new TypeError('fragile: this model is not in my list');
    if (asked.includes('please exit')) process.exit(3);
    return request;
  }

  async transformResponseOut(response) {
    const text = await response.clone().text();
    if (text.includes('poison')) throw new Error('fragile: cannot swallow that');
    return response;
  }
};
