import { Agent, request as open } from 'node:http';
import { text } from 'node:stream/consumers';

/**
 * One request.
 *
 * @param agent one that keeps the connection; none for a connection of its own
 * @param onConnect called with the client's port when a new connection stands
 * @returns what became of it: `status`, `headers` and `body`, or the `error`; and the connection's `port`, once it stood
 */
export function ask(url, { agent = false, method = 'GET', onConnect } = {}) {
  return new Promise((resolve) => {
    let port;
    const request = open(url, { agent, method }, (response) => {
      text(response).then(
        (body) => resolve({ status: response.statusCode, headers: response.headers, body, port }),
        (error) => resolve({ error, port }),
      );
    });
    request.once('error', (error) => resolve({ error, port }));
    request.end();
    request.once('socket', (socket) => {
      if (!socket.connecting) return (port = socket.localPort);
      socket.once('connect', () => {
        port = socket.localPort;
        onConnect?.(port);
      });
    });
  });
}

/** Clients that ask again and again until they are refused: half keep their connection, half come with a new one each time. */
export class Load {
  answered = 0;
  /** What the last request of each client came to. */
  ends = [];
  #wanted;
  #connections = new Map();
  #agents = [];
  #onEnough;

  constructor(urls, clients, enough) {
    this.#wanted = enough;
    /** When so many requests were answered, or every client was refused. */
    this.enough = new Promise((resolve) => (this.#onEnough = resolve));
    this.done = Promise.all(
      Array.from({ length: clients }, (_none, index) => this.#run(urls[index % urls.length], index < clients / 2)),
    );
    void this.done.then(this.#onEnough);
  }

  async ended() {
    await this.done;
    for (const agent of this.#agents) agent.destroy();
  }

  /**
   * The requests that were lost: that got another answer than 200, or none although the server had accepted their
   * connection. No loss are clients that were refused, and clients whom the kernel reset while they still stood in line to be
   * accepted: the server has never seen those, so they may safely ask elsewhere.
   *
   * @param accepted the clients' ports of all connections that the server has accepted, in which one may occur twice
   */
  judge(accepted) {
    const times = countEach(accepted);
    const isInLine = ({ error, port }) => {
      if (error?.code !== 'ECONNRESET') return false;
      return port === undefined ? error.syscall === 'connect' : (times.get(port) ?? 0) < this.#connections.get(port);
    };
    const isRefused = ({ error }) => error?.code === 'ECONNREFUSED';
    return {
      refused: this.ends.filter(isRefused).length,
      inLine: this.ends.filter(isInLine).length,
      lost: this.ends.filter((end) => !isRefused(end) && !isInLine(end)),
    };
  }

  async #run(url, keeps) {
    const agent = keeps ? new Agent({ keepAlive: true, maxSockets: 1 }) : undefined;
    if (agent !== undefined) this.#agents.push(agent);
    const onConnect = (port) => this.#connections.set(port, (this.#connections.get(port) ?? 0) + 1);
    for (;;) {
      const result = await ask(url, { agent, onConnect });
      if (result.status !== 200) return this.ends.push(result);
      this.answered += 1;
      if (this.answered === this.#wanted) this.#onEnough();
    }
  }
}

function countEach(values) {
  const times = new Map();
  for (const value of values) times.set(value, (times.get(value) ?? 0) + 1);
  return times;
}
