import { once } from 'node:events';
import { constants, createServer } from 'node:http2';
import { httpPool } from 'nestjs-pools/http';
import { resetSocket } from '../../support/reset-socket.mjs';
import { answer, borrowHttp } from './http-borrower.mjs';

/** An HTTP/2 server of our own, without TLS, that ends streams and sessions in all the ways that servers do. */
export async function start() {
  const upstream = new H2Upstream();
  await upstream.listen(0);
  return upstream;
}

const { NGHTTP2_CANCEL, NGHTTP2_INTERNAL_ERROR, NGHTTP2_REFUSED_STREAM } = constants;
const ENDINGS = [
  ({ session }) => session.goaway(),
  ({ session }) => session.close(),
  ({ session }) => session.destroy(),
  ({ socket }) => socket && resetSocket(socket),
  ({ stream }) => stream?.close(NGHTTP2_CANCEL),
  ({ stream }) => stream?.close(NGHTTP2_INTERNAL_ERROR),
  ({ stream }) => stream?.close(NGHTTP2_REFUSED_STREAM),
];

class H2Upstream {
  /** A pooled connection is a place for one stream: what is bounded are streams, and an idle one has none. */
  sharesSessions = true;
  target;
  #server;
  #sessions = new Set();
  #sockets = new Set();
  /** Open streams, with the port of each one's client. */
  #streams = new Map();

  async listen(port) {
    this.#server = createServer({ settings: { maxConcurrentStreams: 8 } }, answer);
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    this.#server.on('session', (session) => {
      this.#sessions.add(session);
      session.on('error', () => undefined);
      session.once('close', () => this.#sessions.delete(session));
      const { remotePort } = session.socket;
      session.on('stream', (stream) => {
        this.#streams.set(stream, remotePort);
        stream.on('error', () => undefined);
        stream.once('close', () => this.#streams.delete(stream));
      });
    });
    this.#server.listen(port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.target = { host: '127.0.0.1', port: this.#server.address().port };
  }

  definition({ host, port }, limits) {
    return httpPool({ baseURL: `http://${host}:${port}`, protocol: 'h2', ...limits, validateAfterIdleMs: 500 });
  }

  borrow(borrower) {
    return borrowHttp(borrower);
  }

  async touch(connection) {
    await connection.client.get('/');
  }

  kill(random) {
    const session = random.pick([...this.#sessions]);
    if (session === undefined || session.destroyed) return false;
    const [stream, socket] = [random.pick([...this.#streams.keys()]), random.pick([...this.#sockets])];
    random.pick(ENDINGS)({ session, stream, socket });
    return true;
  }

  async restart(how) {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const session of this.#sessions) {
      if (how === 'kill') session.destroy();
      else session.close();
    }
    const force = setTimeout(() => this.#destroyAll(), 300);
    await closed;
    clearTimeout(force);
    await this.listen(this.target.port);
  }

  sessions() {
    return [...this.#streams.values()];
  }

  async close() {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#destroyAll();
    await closed;
  }

  #destroyAll() {
    for (const session of this.#sessions) session.destroy();
  }
}
