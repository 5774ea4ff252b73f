import { once } from 'node:events';
import { createServer } from 'node:http';
import { httpPool } from 'nestjs-pools/http';
import { resetSocket } from '../../support/reset-socket.mjs';
import { answer, borrowHttp } from './http-borrower.mjs';

/** An HTTP server of our own: it echoes, slowly now and then, and kills its sockets in all the ways that servers do. */
export async function start(options = {}) {
  const upstream = new HttpUpstream(options);
  await upstream.listen(0);
  return upstream;
}

class HttpUpstream {
  #options;
  #sockets = new Set();
  #server;
  target;

  constructor(options) {
    this.#options = options;
  }

  async listen(port) {
    this.#server = createServer(answer);
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    this.#server.listen(port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.target = { host: '127.0.0.1', port: this.#server.address().port };
  }

  definition({ host, port }, limits) {
    const baseURL = `http://${host}:${port}`;
    // The default goes by the socket's word; a half-open one says nothing, so here the check at lease is wanted.
    return httpPool({ baseURL, ...limits, validateAfterIdleMs: 500, ...this.#options });
  }

  borrow(borrower) {
    return borrowHttp(borrower);
  }

  async touch(connection) {
    await connection.client.get('/');
  }

  /** Politely, by a reset, or by an end of its side alone. */
  kill(random) {
    const socket = random.pick([...this.#sockets]);
    if (socket === undefined) return false;
    random.pick([(one) => one.destroy(), resetSocket, (one) => one.end()])(socket);
    return true;
  }

  async restart(how) {
    const closed = once(this.#server, 'close');
    this.#server.close();
    if (how === 'kill') for (const socket of this.#sockets) resetSocket(socket);
    else this.#server.closeIdleConnections();
    const force = setTimeout(() => this.#server.closeAllConnections(), 300);
    await closed;
    clearTimeout(force);
    await this.listen(this.target.port);
  }

  sessions() {
    return [...this.#sockets].map((socket) => socket.remotePort);
  }

  async close() {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}
