import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { UpstreamConnection } from '../../lib/testing/upstream-connection.js';

describe('a connection of the simulated upstream', () => {
  it('is closed by a reset, also where its end is under way', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1').on('error', () => {});
    const [socket] = (await once(server, 'connection')) as [Socket];
    const closed = Promise.all([once(socket, 'close'), once(client.resume(), 'close')]);
    const errors: unknown[] = [];
    socket.on('error', (error) => errors.push(error));
    const connection = new UpstreamConnection(socket, () => {});
    socket.end('bye');
    connection.reset();
    connection.destroy();
    await closed;
    expect(errors).toEqual([]);
    server.close();
  });
});
