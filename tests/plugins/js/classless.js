module.exports = { name: 'object' };
