exports.ENDPOINT = '/v2/chat';
