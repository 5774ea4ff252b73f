import { once } from 'node:events';
import net from 'node:net';

it('leaves a client socket open, and with it the end that the server accepted', async () => {
  const server = net.createServer().listen(0);
  await once(server, 'listening');
  const socket = net.connect(server.address().port);
  await Promise.all([once(socket, 'connect'), once(server, 'connection')]);
  server.close();
});
