import type { Socket } from 'node:net';
import { Cluster, type ClusterNode, type ClusterOptions } from 'ioredis';
import type { ConnectionFactory, CreateContext, HookContext } from '../core/index.js';
import { ClusterSession } from './cluster-session.js';
import { conceal } from './concealment.js';
import { abortable, clientNameOf, closeSockets, currentPassword, isOutdated } from './opening.js';
import { OwnListeners } from './own-listeners.js';
import { answerOf, connectionClosed, notReusable, withoutSecrets } from './redis-errors.js';
import { placeOf, type RedisSettings } from './redis-settings.js';

interface Known {
  readonly session: ClusterSession;
  readonly listeners: OwnListeners;
}

/**
 * Opens Cluster clients. Each heals by itself when a node leaves, as ioredis does; it is replaced when it has lost all of
 * them, or one in the middle of a transaction.
 *
 * @publicApi
 */
export class ClusterConnectionFactory implements ConnectionFactory<Cluster> {
  readonly #settings: RedisSettings;
  readonly #known = new WeakMap<Cluster, Known>();

  /** @internal */
  constructor(settings: RedisSettings) {
    this.#settings = settings;
  }

  async create(context: CreateContext): Promise<Cluster> {
    const { signal, broken } = context;
    const place = placeOf(this.#settings);
    const password = await abortable(currentPassword(this.#settings), signal);
    const cluster = this.#client(password, context);
    conceal(cluster, place);
    // For its whole life: ioredis prints an error that nobody listens for.
    let lastError: unknown;
    const note = (error: unknown): unknown => (lastError = withoutSecrets(error));
    cluster.on('error', note).on('node error', note);
    const session = new ClusterSession(cluster, (node) => conceal(node, place), broken);
    try {
      await abortable(this.#open(cluster, session), signal);
    } catch (error) {
      for (const socket of endOf(session)) socket.destroy();
      throw signal.aborted ? signal.reason : unreachable(lastError ?? withoutSecrets(error));
    }
    cluster.once('end', () => broken(lastError ?? connectionClosed()));
    this.#known.set(cluster, { session, listeners: new OwnListeners(cluster) });
    if (cluster.status !== 'ready') throw connectionClosed();
    return cluster;
  }

  looksAlive({ status }: Cluster): boolean {
    return status === 'ready';
  }

  async isHealthy(cluster: Cluster): Promise<boolean> {
    const { session } = this.#knownOf(cluster);
    if (session.connected.length > 0) await session.ping();
    else await cluster.ping().finally(() => session.rest());
    return true;
  }

  /** Costs nothing for a client that comes back as it went. */
  reset(cluster: Cluster, context: HookContext): Promise<void> | void {
    const { session, listeners } = this.#knownOf(cluster);
    if (!this.looksAlive(cluster)) throw notReusable('the borrower closed it');
    listeners.restore();
    if (session.isClean) return session.rest();
    return session.clean(context.signal).then(() => session.rest());
  }

  destroy(cluster: Cluster, { signal }: HookContext): Promise<void> {
    const { session } = this.#knownOf(cluster);
    const isIdle = session.all.every((node) => node.commandQueue.length === 0);
    return closeSockets(endOf(session), isIdle, signal);
  }

  #client(password: string | undefined, { pool, broken }: CreateContext): Cluster {
    const settings = this.#settings;
    const { host: _host, port: _port, path: _path, ...options } = settings.options;
    const { nodes, options: given } = settings.cluster!;
    const redisOptions = {
      ...options,
      ...(password === undefined ? {} : { password }),
      connectionName: options.connectionName ?? clientNameOf(pool),
      reconnectOnError: (error: Error) => {
        if (isOutdated(settings, error)) broken(answerOf(error));
        return false;
      },
    };
    const own = { lazyConnect: true, clusterRetryStrategy: null };
    return new Cluster(nodes as ClusterNode[], { ...given, ...own, redisOptions } as ClusterOptions);
  }

  async #open(cluster: Cluster, session: ClusterSession): Promise<void> {
    // Where it finds the cluster not ready, ioredis ends the client and leaves the promise of connect() open.
    const ended = new Promise<never>((_, reject) => cluster.once('end', () => reject(connectionClosed())));
    await Promise.race([cluster.connect(), ended]);
    // ioredis opens a socket when it is first written to; a lent connection has its sockets.
    await Promise.all(cluster.nodes('master').map((node) => node.ping()));
    await this.#settings.onConnect?.(cluster as never);
    session.settleIn();
  }

  #knownOf(cluster: Cluster): Known {
    return this.#known.get(cluster)!;
  }
}

/** Ends the client, and returns what is still open of it. */
function endOf(session: ClusterSession): Socket[] {
  const sockets = session.all.flatMap(({ stream }) => (stream && !stream.closed ? [stream] : []));
  session.end();
  return sockets;
}

/** ioredis tells of a node that it could not reach no more than that there is no connection. */
function unreachable(error: unknown): unknown {
  if ((error as { code?: unknown }).code !== 'ECONNRESET') return error;
  return Object.assign(new Error('none of the nodes could be reached'), { code: 'CLUSTER_UNREACHABLE' });
}
