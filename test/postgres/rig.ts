import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import type { PoolOptions } from 'nestjs-pools/core';
import { type PostgresPool, postgresPool, type PostgresPoolOptions } from 'nestjs-pools/postgres';
import type { Server } from '../support/services.js';

/** Pools of one test file on one server, and a look at the server from outside of them. */
export class Rig {
  /** What the server calls the sessions of this file. */
  readonly label: string;
  private readonly pools: PostgresPool[] = [];
  private readonly tables: string[] = [];
  private outsider: Promise<Client> | undefined;

  constructor(
    readonly server: Server,
    file: string,
  ) {
    this.label = `np-${file}-${process.pid}`;
    afterEach(() => this.closePools());
    afterAll(async () => {
      for (const table of this.tables) await this.ask(`DROP TABLE ${table}`);
      await (await this.outsider)?.end();
    });
  }

  /** A table for this file; empty before each test. */
  table(columns: string): string {
    const table = `np_${this.label.replaceAll('-', '_')}`;
    beforeAll(async () => {
      await this.ask(`CREATE TABLE ${table} (${columns})`);
      this.tables.push(table);
    });
    beforeEach(() => this.ask(`TRUNCATE ${table}`));
    return table;
  }

  get place(): PostgresPoolOptions {
    const { host, port, user, password, database } = this.server;
    return { host, port, user, password, database };
  }

  pool(options: PostgresPoolOptions = {}, extra: Partial<PoolOptions<Client>> = {}): PostgresPool {
    const place = options.connectionString === undefined ? this.place : {};
    const definition = postgresPool({ ...place, application_name: this.label, minConnections: 0, ...options });
    const pool = definition.createPool({ name: 'db', factory: definition.factory, ...definition.limits, ...extra });
    this.pools.push(pool);
    return pool;
  }

  async closePools(): Promise<void> {
    await Promise.all(this.pools.splice(0).map((pool) => pool.close({ timeoutMs: 0 })));
  }

  /** Asks the server by a client of its own. */
  async ask<R extends object>(sql: string, values?: unknown[]): Promise<R[]> {
    this.outsider ??= this.connectOutsider();
    const { rows } = await (await this.outsider).query<R>(sql, values);
    return rows;
  }

  /** The sessions of this file, as the server sees them. */
  sessions(): Promise<{ pid: number; state: string; query: string }[]> {
    return this.ask('SELECT pid, state, query FROM pg_stat_activity WHERE application_name = $1', [this.label]);
  }

  async kill(pid: number): Promise<void> {
    await this.ask('SELECT pg_terminate_backend($1)', [pid]);
  }

  private async connectOutsider(): Promise<Client> {
    const client = new Client(this.place);
    await client.connect();
    return client;
  }
}

/** The server's process that serves this client. */
export async function pidOf(client: Client): Promise<number> {
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  return rows[0]!.pid;
}

/** Asks again and again until it holds, for five seconds at most. */
export async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const end = performance.now() + 5_000;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`did not happen: ${what}`);
    await sleep(5);
  }
}

/** What a promise is rejected with. */
export async function failure<E = Error & { code?: string }>(work: Promise<unknown>): Promise<E> {
  return work.then(
    () => Promise.reject(new Error('did not fail')),
    (error: E) => error,
  );
}
