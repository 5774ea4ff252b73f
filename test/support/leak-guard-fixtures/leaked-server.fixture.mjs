import { once } from 'node:events';
import http from 'node:http';

it('leaves a server listening', async () => {
  await once(http.createServer().listen(0).unref(), 'listening');
});
