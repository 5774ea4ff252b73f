import { Redis } from 'ioredis';
import { createConnection } from 'mysql2/promise';
import pg from 'pg';

/** How long one attempt may take. */
const TIMEOUT_MS = 2_000;

/** Whether TLS is spoken is for the server to know; whether it is the right server is not what is asked here. */
const WITH_TLS = { rejectUnauthorized: false };

/** Each tells whether a server takes this login and does a first piece of work. */
export async function answersPostgres({ host, port, user, password, database }) {
  const client = new pg.Client({ host, port, user, password, database, connectionTimeoutMillis: TIMEOUT_MS });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('select 1');
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}

export async function answersMysql({ host, port, user, password, database }) {
  let connection;
  try {
    connection = await createConnection({ host, port, user, password, database, connectTimeout: TIMEOUT_MS });
    await connection.query('select 1');
    await connection.end();
    return true;
  } catch {
    connection?.destroy();
    return false;
  }
}

export async function answersRedis({ host, port, user, password, url }) {
  const redis = new Redis({
    host,
    port,
    ...(password === '' ? {} : { password, ...(user === 'default' ? {} : { username: user }) }),
    ...(url.startsWith('rediss:') ? { tls: WITH_TLS } : {}),
    lazyConnect: true,
    connectTimeout: TIMEOUT_MS,
    commandTimeout: TIMEOUT_MS,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
  });
  redis.on('error', () => undefined);
  try {
    await redis.connect();
    return (await redis.ping()) === 'PONG';
  } catch {
    return false;
  } finally {
    redis.disconnect();
  }
}
