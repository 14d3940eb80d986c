module.exports = async function router(req, config, { event }) {
  if (req.body.fail) throw new Error('no way');
  if (req.body.odd) return 42;
  if (req.body.where) return `${req.sessionId},${req.headers['x-a']},${config.Router.default},${typeof event.on}`;
  return null;
};
