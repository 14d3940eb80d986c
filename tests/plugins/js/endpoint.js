// A plugin with a route of its own: what comes in on it, and what goes out.
module.exports = class EndPoint {
  name = 'endpoint';
  endPoint = '/v1/other';

  async transformRequestOut(request, { req }) {
    return { messages: [{ role: 'user', content: request.input }], model: request.model, seen: req.url };
  }

  async transformResponseIn(response) {
    const completion = await response.json();
    return new Response(JSON.stringify({ output: completion.choices[0].message.content }), { status: 201 });
  }
};
