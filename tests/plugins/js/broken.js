module.exports = class {
  name = 'broken'
  transformRequestIn( {
};
