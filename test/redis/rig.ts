import { Redis } from 'ioredis';
import { redisPool, type RedisPool, type RedisPoolOptions } from 'nestjs-pools/redis';
import type { Server } from '../support/services.js';

/** Pools and clients of one test, closed after it, and the server's own view of them. */
export class RedisRig {
  private readonly pools: RedisPool[] = [];
  private admin: Redis | undefined;

  constructor(
    private readonly server: Server,
    private readonly name: string,
  ) {}

  pool(options: Partial<RedisPoolOptions> = {}): RedisPool {
    const definition = redisPool({ url: this.server.url, minConnections: 0, connectionName: this.name, ...options });
    const pool = definition.createPool({ name: this.name, factory: definition.factory, ...definition.limits });
    this.pools.push(pool);
    return pool;
  }

  /** A plain client beside the pool. */
  get other(): Redis {
    if (this.admin === undefined) {
      this.admin = new Redis(this.server.url, { retryStrategy: null });
      // It may be killed with all the others.
      this.admin.on('error', () => undefined).once('end', () => (this.admin = undefined));
    }
    return this.admin;
  }

  /** The pool's connections as `CLIENT LIST` shows them. */
  async clients(): Promise<Client[]> {
    const lines = String(await this.other.client('LIST'))
      .trim()
      .split('\n');
    return lines.map(parseClient).filter(({ name }) => name === this.name);
  }

  /** `CLIENT KILL` of all of the pool's connections. */
  async kill(): Promise<number> {
    const clients = await this.clients();
    await Promise.all(clients.map(({ id }) => this.other.client('KILL', 'ID', id)));
    return clients.length;
  }

  async close(): Promise<void> {
    await Promise.all(this.pools.splice(0).map((pool) => pool.close({ timeoutMs: 0 })));
    const { admin } = this;
    if (admin === undefined) return;
    const ended = new Promise((resolve) => admin.once('end', resolve));
    admin.disconnect();
    await ended;
  }
}

export interface Client {
  readonly id: string;
  readonly name: string;
  readonly db: string;
  /** N none, x in MULTI, d a watched key was written, b blocked, P subscribed, t tracking, e not to be evicted. */
  readonly flags: string;
  readonly sub: string;
  readonly psub: string;
  readonly ssub: string;
  readonly multi: string;
}

export function parseClient(line: string): Client {
  return Object.fromEntries(
    line
      .trim()
      .split(' ')
      .map((field) => field.split('=', 2)),
  ) as Client;
}

/** As the server sees the connection itself. */
export async function seenByServer(redis: Redis): Promise<Client> {
  return parseClient(String(await redis.client('INFO')));
}

export async function failure(work: Promise<unknown>): Promise<Error & { code?: string; cause?: unknown }> {
  return work.then(
    () => Promise.reject(new Error('did not fail')),
    (error: Error) => error,
  );
}

/** Asks again until it holds, for five seconds at most: a server's view of its clients comes late. */
export async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const end = performance.now() + 5_000;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`did not happen: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
