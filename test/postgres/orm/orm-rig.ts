import { Client } from 'pg';
import type { PostgresPool } from 'nestjs-pools/postgres';
import type { Server } from '../../support/services.js';
import { poolOf } from '../plain-pool.js';

const MOST = 5;

/** A pool of five on a schema of its own with one table, and somebody who counts its connections at the server. */
export class OrmRig {
  static async start(server: Server, orm: string): Promise<OrmRig> {
    const admin = new Client(server.url);
    await admin.connect();
    const rig = new OrmRig(server, `orm_${orm}_${process.pid}`, admin);
    await admin.query(`
      drop schema if exists ${rig.schema} cascade;
      create schema ${rig.schema};
      create table ${rig.schema}.documents (
        id serial primary key,
        title text not null,
        pages int not null default 0,
        constraint documents_title unique (title)
      )`);
    return rig;
  }

  pool: PostgresPool;
  readonly most = MOST;

  private constructor(
    private readonly server: Server,
    readonly schema: string,
    private readonly admin: Client,
  ) {
    this.pool = this.makePool();
  }

  /** The rows that are there, seen by somebody else. */
  async titles(): Promise<string[]> {
    const { rows } = await this.admin.query<{ title: string }>(`select title from ${this.schema}.documents order by 1`);
    return rows.map(({ title }) => title);
  }

  /** How many connections the server saw at most while the work was done. */
  async countWhile(work: Promise<unknown>): Promise<number> {
    let most = 0;
    let isDone = false;
    const done = work.finally(() => (isDone = true));
    while (!isDone) most = Math.max(most, await this.count());
    await done;
    return most;
  }

  async count(): Promise<number> {
    const sql = 'select count(*)::int as count from pg_stat_activity where application_name = $1';
    return (await this.admin.query<{ count: number }>(sql, [this.schema])).rows[0]!.count;
  }

  /** Another pool for the next test, and an empty table. */
  async renew(): Promise<void> {
    await this.pool.close({ timeoutMs: 0 });
    await this.admin.query(`truncate ${this.schema}.documents restart identity`);
    this.pool = this.makePool();
  }

  async stop(): Promise<void> {
    await this.pool.close({ timeoutMs: 0 });
    await this.admin.query(`drop schema ${this.schema} cascade`);
    await this.admin.end();
  }

  private makePool(): PostgresPool {
    return poolOf({
      connectionString: this.server.url,
      application_name: this.schema,
      options: `-c search_path=${this.schema}`,
      maxConnections: MOST,
      minConnections: 0,
    });
  }
}
