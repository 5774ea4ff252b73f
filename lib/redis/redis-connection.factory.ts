import type { Socket } from 'node:net';
import { Redis, type RedisOptions } from 'ioredis';
import type { ConnectionFactory, CreateContext, HookContext } from '../core/index.js';
import { conceal, forgetLogin } from './concealment.js';
import { abortable, clientNameOf, closeSockets, currentPassword, isOutdated } from './opening.js';
import { OwnListeners } from './own-listeners.js';
import { answerOf, connectionClosed, isReply, notReusable, withoutSecrets } from './redis-errors.js';
import { RedisSession } from './redis-session.js';
import { placeOf, type RedisSettings } from './redis-settings.js';

/** What the pool knows of a connection besides the connection itself. */
interface Known {
  readonly session: RedisSession;
  readonly listeners: OwnListeners;
}

/**
 * Opens connections to one Redis server, or to the one that Sentinels name at that moment.
 *
 * @publicApi
 */
export class RedisConnectionFactory implements ConnectionFactory<Redis> {
  readonly #settings: RedisSettings;
  readonly #known = new WeakMap<Redis, Known>();

  /** @internal */
  constructor(settings: RedisSettings) {
    this.#settings = settings;
  }

  async create(context: CreateContext): Promise<Redis> {
    const { signal, broken } = context;
    const password = await abortable(currentPassword(this.#settings), signal);
    const redis = this.#client(password, context);
    // For its whole life: ioredis prints an error that nobody listens for.
    let lastError: unknown;
    redis.on('error', (error: unknown) => (lastError = withoutSecrets(error)));
    try {
      await abortable(this.#open(redis), signal);
      // ioredis tells of a database that is not there by an event only, and goes on with the first one.
      if (lastError !== undefined) throw lastError;
    } catch (error) {
      end(redis)?.destroy();
      throw signal.aborted ? signal.reason : (lastError ?? withoutSecrets(error));
    }
    redis.stream.once('close', () => broken(lastError ?? connectionClosed()));
    if (redis.stream.destroyed) throw connectionClosed();
    return redis;
  }

  looksAlive({ status, stream }: Redis): boolean {
    return status === 'ready' && stream.writable && !stream.readableEnded;
  }

  async isHealthy(redis: Redis): Promise<boolean> {
    await this.#knownOf(redis).session.ping();
    return true;
  }

  /** Costs nothing for a connection that comes back as it went. */
  reset(redis: Redis, context: HookContext): Promise<void> | void {
    const { session, listeners } = this.#knownOf(redis);
    listeners.restore();
    // Whether it is alive the pool looks at itself, before and after.
    if (session.isClean) return session.rest();
    if (!this.looksAlive(redis)) throw notReusable('the borrower closed it');
    return session.clean(context.signal).then(() => session.rest());
  }

  destroy(redis: Redis, { signal }: HookContext): Promise<void> {
    const isIdle = redis.commandQueue.length === 0;
    const socket = end(redis);
    return closeSockets(socket === undefined ? [] : [socket], isIdle, signal);
  }

  #client(password: string | undefined, { pool, broken }: CreateContext): Redis {
    const settings = this.#settings;
    const { options } = settings;
    const redis = new Redis({
      ...options,
      ...(password === undefined ? {} : { password }),
      connectionName: options.connectionName ?? clientNameOf(pool),
      reconnectOnError: (error: Error) => {
        if (isOutdated(settings, error)) broken(answerOf(error));
        return false;
      },
    } as RedisOptions);
    conceal(redis, placeOf(settings));
    return redis;
  }

  async #open(redis: Redis): Promise<void> {
    const { options, onConnect } = this.#settings;
    await redis.connect();
    forgetLogin(redis);
    const session = new RedisSession(redis);
    // One that is still loading its data says so here.
    await session.ping();
    if (options.sentinels) await this.#checkRole(redis);
    await onConnect?.(redis as never);
    session.settleIn();
    this.#known.set(redis, { session, listeners: new OwnListeners(redis) });
  }

  /** Sentinels may still name a master that has just been demoted. */
  async #checkRole(redis: Redis): Promise<void> {
    const wanted = this.#settings.options.role ?? 'master';
    const role = await redis.role().catch((error: unknown) => {
      if (isReply(error) && error.message.startsWith('NOPERM')) return [wanted];
      throw error;
    });
    if (role[0] === wanted) return;
    throw Object.assign(new Error(`the Sentinels named a server that is no ${wanted}`), { code: 'WRONG_ROLE' });
  }

  #knownOf(redis: Redis): Known {
    return this.#known.get(redis)!;
  }
}

/**
 * Says to the server that no more will come, which is as good as QUIT and need not wait for an answer. Returns the socket,
 * unless it is closed: to end that once more leaves a timer of ioredis behind.
 */
function end(redis: Redis): Socket | undefined {
  const { stream } = redis;
  if (stream?.closed) return undefined;
  redis.disconnect();
  return stream;
}
