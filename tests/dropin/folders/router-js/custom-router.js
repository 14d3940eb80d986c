/**
 * @param {object} req - the request from Claude Code, with its body
 * @param {object} config - the configuration
 * @returns {Promise<string|null>} "provider,model", or null for the router's own rules
 */
module.exports = async function router(req, config) {
  const userMessage = req.body.messages.find((m) => m.role === 'user')?.content;
  const text = typeof userMessage === 'string' ? userMessage : JSON.stringify(userMessage);

  if (text && text.includes('explain this code')) {
    return `${config.Providers[0].name},google/gemini-2.5-pro`;
  }
  if (text && text.includes('router, break')) {
    throw new Error('no idea');
  }
  if (req.tokenCount > 2000) {
    return 'openrouter,qwen/qwen3-coder';
  }
  return null;
};
