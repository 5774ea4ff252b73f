import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';

it('forgets an agent that keeps a socket alive', async () => {
  const server = net.createServer((socket) => {
    socket.unref().once('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'));
  });
  await once(server.listen(0), 'listening');
  const agent = new http.Agent({ keepAlive: true, timeout: 60_000 });
  const [response] = await once(http.get({ port: server.address().port, agent }), 'response');
  response.resume();
  await once(response, 'end');
  server.close();
});
