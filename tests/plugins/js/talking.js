// Says something in every way there is.
module.exports = class Talking {
  name = 'talking';

  async transformRequestIn(request, provider, { req }) {
    for (const level of ['trace', 'debug', 'info', 'warn', 'error', 'fatal']) this.logger[level]('by logger: %s', level);
    this.logger.info({ token: 'sesame-open-up' }, 'two\nlines');
    this.logger.child({}).error(new Error('by error'));
    console.log('by console', { log: 1 });
    console.warn('by console.warn');
    console.table([{ cell: 'by table' }]);
    process.stdout.write('by stdout\n');
    process.stderr.write('by stderr\n');
    req.log.info('by req.log');
    if (this.logger.isLevelEnabled('debug')) this.logger.info('debug is on');
    return request;
  }
};
