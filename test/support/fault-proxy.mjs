import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { resetSocket } from './reset-socket.mjs';

/**
 * A TCP proxy that is a bad network on request. It stands between a pool and a real server.
 *
 * | mode       | what happens to connections, those that are there and those that come                                        |
 * |------------|-------------------------------------------------------------------------------------------------------------|
 * | `ok`       | bytes pass                                                                                                  |
 * | `latency`  | bytes pass, `latencyMs` late in each direction                                                              |
 * | `stall`    | nothing passes; all of it does once the mode is over                                                        |
 * | `reset`    | a RST, to those that are there at once, to those that come at their first byte                              |
 * | `half-open`| nothing passes, nothing is ever told, and this stays so for the connections of that time: as when a firewall |
 * |            | has forgotten them                                                                                          |
 * | `cut`      | the next answer breaks off in its middle, and the connection ends                                           |
 *
 * An end travels as the bytes do. Of a half-open connection the client hears nothing, whatever the server does; but once the
 * client is done with it, it is closed at the server: a count of the server's sessions is then one of what clients hold.
 */
export class FaultProxy {
  /** @type {Set<ProxiedConnection>} */
  #connections = new Set();
  #server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => this.#take(socket));
  #target;
  /** @type {string} */
  #mode = 'ok';
  latencyMs = 20;
  accepted = 0;

  constructor(target) {
    this.#target = target;
  }

  static async start(target) {
    const proxy = new FaultProxy(target);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get host() {
    return '127.0.0.1';
  }

  get port() {
    return this.#server.address().port;
  }

  get mode() {
    return this.#mode;
  }

  set mode(mode) {
    this.#mode = mode;
    for (const connection of this.#connections) connection.enter(mode);
  }

  /** Connections that their client has not closed, nor begun to close. */
  get clients() {
    return [...this.#connections].filter(({ hasClient }) => hasClient).length;
  }

  /** Those of them that no byte will ever pass again. */
  get halfOpen() {
    return [...this.#connections].filter(({ hasClient, isHalfOpen }) => hasClient && isHalfOpen).length;
  }

  /** The ports that the server sees, of connections that their client has not closed, nor begun to close. */
  get serverSidePorts() {
    const open = [...this.#connections].filter(({ hasClient }) => hasClient);
    return new Set(open.map(({ serverSidePort }) => serverSidePort));
  }

  /** Ends every connection at once and stops listening. */
  async stop() {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const connection of this.#connections) connection.destroy();
    await closed;
  }

  #take(socket) {
    this.accepted += 1;
    const connection = new ProxiedConnection(
      socket,
      connect({ ...this.#target, noDelay: true, allowHalfOpen: true }),
      this,
    );
    this.#connections.add(connection);
    connection.onEnd = () => this.#connections.delete(connection);
    connection.enter(this.#mode === 'reset' ? 'reset-later' : this.#mode);
  }
}

class ProxiedConnection {
  onEnd = () => undefined;
  isHalfOpen = false;
  /** Before it is known, the server has no session. */
  serverSidePort;
  #mode = 'ok';
  #client;
  #upstream;
  #proxy;
  /** What waits for the end of a stall, in order. */
  #held = [];
  /** What waits for its time, in order. */
  #late = [];

  constructor(client, upstream, proxy) {
    this.#client = client;
    this.#upstream = upstream;
    this.#proxy = proxy;
    upstream.once('connect', () => (this.serverSidePort = upstream.localPort));
    this.#listen(client, upstream);
    this.#listen(upstream, client);
    client.once('end', () => this.#clientLeaves());
    client.once('close', () => this.#end());
    upstream.once('close', () => {
      client.resume(); // it would wait for a drain that cannot come, and not hear of its end
      this.#do(client, () => this.#dropClient());
    });
  }

  get hasClient() {
    return !this.#client.destroyed && !this.#client.readableEnded;
  }

  enter(mode) {
    if (this.isHalfOpen) return;
    this.#mode = mode;
    if (mode === 'half-open') this.isHalfOpen = true;
    else if (mode === 'stall') this.#held.push(...this.#stopClocks());
    else if (mode === 'reset') this.#reset();
    else for (const action of this.#held.splice(0)) action();
  }

  destroy() {
    this.#client.destroy();
    this.#end();
  }

  #listen(from, to) {
    from.on('error', () => undefined); // `close` follows
    from.on('drain', () => to.resume());
    from.on('end', () => this.#do(to, () => to.end()));
    from.on('data', (bytes) => {
      if (this.#mode === 'reset-later') this.#reset();
      else if (this.#mode === 'cut' && to === this.#client) this.#cut(bytes);
      else this.#do(to, () => to.write(bytes) || from.pause());
    });
  }

  /** At once, or when the network lets it. */
  #do(to, action) {
    const unlessClosed = () => {
      if (!to.destroyed && !to.writableEnded) action();
    };
    if (this.isHalfOpen) return;
    if (this.#mode === 'stall') this.#held.push(unlessClosed);
    else if (this.#mode === 'latency' || this.#late.length > 0) this.#later(unlessClosed);
    else unlessClosed();
  }

  /** Timers of one duration fire in the order in which they were set. */
  #later(action) {
    const late = {
      action,
      timer: setTimeout(() => {
        this.#late.shift();
        if (!this.isHalfOpen) action();
      }, this.#proxy.latencyMs),
    };
    this.#late.push(late);
  }

  #stopClocks() {
    for (const { timer } of this.#late) clearTimeout(timer);
    return this.#late.splice(0).map(({ action }) => action);
  }

  #cut(bytes) {
    this.#client.end(bytes.subarray(0, Math.floor(bytes.length / 2)), () => this.destroy());
  }

  #reset() {
    resetSocket(this.#client);
    this.#upstream.destroy();
  }

  /** The server has gone, or was never there. */
  #dropClient() {
    if (this.serverSidePort === undefined) resetSocket(this.#client);
    else this.#client.end(() => this.#client.destroy());
  }

  #clientLeaves() {
    if (this.isHalfOpen) this.#upstream.destroy();
  }

  #end() {
    this.#stopClocks();
    this.#held.length = 0;
    this.#upstream.destroy();
    this.onEnd();
  }
}
