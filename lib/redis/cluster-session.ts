import type { Cluster, Command, Redis } from 'ioredis';
import { forgetLogin } from './concealment.js';
import { mayBlock } from './redis-commands.js';
import { connectionClosed, notReusable } from './redis-errors.js';
import { RedisSession } from './redis-session.js';

const SUBSCRIBING = new Set(['subscribe', 'psubscribe', 'ssubscribe']);

/**
 * What a borrower leaves behind on a Cluster client: a {@link RedisSession} on the socket to each node, and what only the
 * client as a whole knows, its commands on their way from node to node and its subscriptions.
 *
 * @internal
 */
export class ClusterSession {
  private readonly nodes = new Map<Redis, RedisSession>();
  private readonly underway = new Set<Command>();
  /** ioredis subscribes by a socket of its own, which it then keeps. */
  private hasSubscribed = false;
  /** A client that has ended may call itself `close` for good, when two nodes left it together, and then keeps what it is sent. */
  private isOver = false;

  constructor(
    private readonly cluster: Cluster,
    adopted: (node: Redis) => void,
    lost: (error: Error) => void,
  ) {
    cluster.on('+node', (node: Redis) => {
      adopted(node);
      const session = new RedisSession(node);
      this.nodes.set(node, session);
      node.on('ready', () => forgetLogin(node));
      node.once('end', () => {
        this.nodes.delete(node);
        // ioredis would go on over a new socket to that node, where nothing is watched.
        if (!session.isInTransaction) return;
        lost(new Error('a node was lost in the middle of a transaction'));
        this.end();
      });
    });
    cluster.once('end', () => (this.isOver = true));
    const sendNow = cluster.sendCommand.bind(cluster);
    const sendCommand: Cluster['sendCommand'] = (command, stream, node) => {
      if (this.isOver) {
        command.reject(connectionClosed());
        return command.promise;
      }
      this.note(command);
      return sendNow(command, stream, node);
    };
    Object.defineProperty(cluster, 'sendCommand', { value: sendCommand, configurable: true, writable: true });
  }

  get sessions(): RedisSession[] {
    return [...this.nodes.values()];
  }

  /** Those with a socket. */
  get connected(): Redis[] {
    return [...this.nodes.keys()].filter((node) => node.status === 'ready');
  }

  /** Every node that it has, or had and has not lost yet. */
  get all(): Redis[] {
    return [...this.nodes.keys()];
  }

  get isClean(): boolean {
    const isQuiet = this.underway.size === 0 && this.cluster.autoPipelineQueueSize === 0;
    return isQuiet && !this.hasSubscribed && this.sessions.every((session) => session.isClean);
  }

  /** Closes the client. */
  end(): void {
    if (!this.isOver) this.cluster.disconnect();
    this.isOver = true;
  }

  settleIn(): void {
    this.hasSubscribed = false;
    for (const session of this.nodes.values()) session.settleIn();
  }

  rest(): void {
    for (const session of this.nodes.values()) session.rest();
  }

  ping(): Promise<unknown> {
    const sessions = this.connected.map((node) => this.nodes.get(node)!);
    return Promise.all(sessions.map((session) => session.ping()));
  }

  async clean(signal: AbortSignal): Promise<void> {
    if (this.hasSubscribed) throw notReusable('it has subscribed, which a cluster does over a socket of its own');
    while (this.cluster.autoPipelineQueueSize > 0 && !signal.aborted) await new Promise((next) => setImmediate(next));
    for (const command of this.underway) {
      if (mayBlock(command)) throw notReusable(`it came back in the middle of ${command.name}`);
    }
    while (this.underway.size > 0) await Promise.allSettled([...this.underway].map(({ promise }) => promise));
    await Promise.all(this.sessions.filter(({ isClean }) => !isClean).map((session) => session.clean(signal)));
  }

  private note(command: Command): void {
    this.underway.add(command);
    const settled = (): void => void this.underway.delete(command);
    command.promise.then(settled, settled);
    if (SUBSCRIBING.has(command.name.toLowerCase())) this.hasSubscribed = true;
  }
}
