import pg from 'pg';
import { asPgPool, postgresPool } from 'nestjs-pools/postgres';
import { genericPoolOf, ours } from './contenders.mjs';

const connectionString = process.env.POSTGRES_URL ?? 'postgres://postgres@127.0.0.1:5432/test';
const SQL = 'select 1';

/** @type {import('../upstreams.mjs').Kind} */
export const kind = {
  what: SQL,
  contenders(connections) {
    const definition = () => postgresPool({ connectionString, maxConnections: connections });
    return [
      () => ours('ours, pool.query()', definition(), (pool) => pool.query(SQL)),
      () => ours('ours, pool.use()', definition(), (pool) => pool.use((client) => client.query(SQL))),
      () => facade(definition()),
      () => {
        const peer = new pg.Pool({ connectionString, max: connections });
        return { name: 'pg-pool', is: 'peer', call: () => peer.query(SQL), close: () => peer.end() };
      },
      () =>
        genericPoolOf(
          { create: connected, destroy: (client) => client.end(), call: (client) => client.query(SQL) },
          connections,
        ),
    ];
  },
};

function facade(definition) {
  const facades = new WeakMap();
  return ours('ours, asPgPool()', definition, (pool) => {
    let pgPool = facades.get(pool);
    if (pgPool === undefined) facades.set(pool, (pgPool = asPgPool(pool)));
    return pgPool.query(SQL);
  });
}

async function connected() {
  const client = new pg.Client({ connectionString });
  await client.connect();
  return client;
}
