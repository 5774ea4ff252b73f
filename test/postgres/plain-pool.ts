import { Client } from 'pg';
import { ConnectionPool, type PoolLimits } from 'nestjs-pools/core';
import { type PostgresPool, postgresPool, type PostgresPoolOptions } from 'nestjs-pools/postgres';
import type { Server } from '../support/services.js';

export function poolOf(options: PostgresPoolOptions): PostgresPool {
  const definition = postgresPool(options);
  return definition.createPool({ name: 'documents', factory: definition.factory, ...definition.limits });
}

/** The least that makes a pool of pg's clients: what is observed on it is the facade's doing, not that of `postgresPool`. */
export function plainPool(
  { host, port, user, password, database }: Server,
  { application_name, ...limits }: PoolLimits & { application_name?: string } = {},
): ConnectionPool<Client> {
  return new ConnectionPool<Client>({
    name: 'plain',
    minConnections: 0,
    ...limits,
    factory: {
      async create({ broken }) {
        const client = new Client({ host, port, user, password, database, application_name });
        client.on('error', broken);
        await client.connect();
        return client;
      },
      destroy: (client) => client.end(),
    },
  });
}
