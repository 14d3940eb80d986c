module.exports = class { name = 'plain'; };
