import path from 'node:path';
export default class Modern {
  name = 'modern';
  async transformRequestIn(request) {
    return { ...request, base: path.basename(import.meta.url) };
  }
}
