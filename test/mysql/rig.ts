import { spawnSync } from 'node:child_process';
import type { RowDataPacket } from 'mysql2';
import { type Connection, createConnection } from 'mysql2/promise';
import { type MysqlPool, mysqlPool, type MysqlPoolOptions } from 'nestjs-pools/mysql';
import type { Server } from '../support/services.js';

const open: MysqlPool[] = [];
const admins: Connection[] = [];

/** Where a server is, as `mysqlPool` takes it. */
export function addressOf({ host, port, user, password, database }: Server): MysqlPoolOptions {
  return { host, port, user, password, database };
}

/** A pool that is closed after the test. */
export function poolOf(options: MysqlPoolOptions): MysqlPool {
  const definition = mysqlPool({ minConnections: 0, ...options });
  const pool = definition.createPool({ name: 'db', factory: definition.factory, ...definition.limits });
  open.push(pool);
  return pool;
}

/** A connection beside the pool, ended after the test. */
export async function adminOf(server: Server): Promise<Connection> {
  const { host, port, user, password, database } = server;
  const admin = await createConnection({ host, port, user, password, database, multipleStatements: true });
  admin.on('error', () => {});
  admins.push(admin);
  return admin;
}

/** For `afterEach`. */
export async function closeAll(): Promise<void> {
  await Promise.all(open.splice(0).map((pool) => pool.close({ timeoutMs: 0 })));
  await Promise.all(admins.splice(0).map((admin) => admin.end().catch(() => {})));
}

export async function rowsOf(connection: Pick<Connection, 'query'>, sql: string): Promise<RowDataPacket[]> {
  const [rows] = await connection.query<RowDataPacket[]>(sql);
  return rows;
}

/** The one value that a query asks for. */
export async function valueOf(connection: Pick<Connection, 'query'> | MysqlPool, sql: string): Promise<unknown> {
  const [row] = await rowsOf(connection as Connection, sql);
  return Object.values(row!)[0];
}

/** Ids of the server's threads that run a statement in which this text is. */
export async function threadsThatRun(admin: Connection, text: string): Promise<number[]> {
  const rows = await rowsOf(
    admin,
    `select id from information_schema.processlist where info like '%${text}%' and id <> connection_id()`,
  );
  return rows.map(({ id, ID }) => Number(id ?? ID));
}

export async function failure(work: Promise<unknown>): Promise<Error & Record<string, unknown>> {
  return work.then(
    () => Promise.reject(new Error('did not fail')),
    (error: Error & Record<string, unknown>) => error,
  );
}

/** Resolves when `condition` holds; it is asked again every few milliseconds, for ten seconds at most. */
export async function until(condition: () => Promise<boolean> | boolean, what: string): Promise<void> {
  const end = performance.now() + 10_000;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`did not happen: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Runs a script in a process of its own. */
export function runScript(script: string): ReturnType<typeof spawnSync> {
  return spawnSync(process.execPath, ['--input-type=module', '--eval', script], { timeout: 30_000, encoding: 'utf8' });
}
