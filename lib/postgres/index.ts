export { postgresPool } from './define-postgres-pool.js';
export { PostgresConnectionFactory } from './postgres-connection.factory.js';
export { PostgresPool, type PostgresAcquireOptions, type PostgresQueryOptions } from './postgres-pool.js';
export type { PostgresPoolOptions } from './postgres-settings.js';
export { TransactionRolledBackError, type TransactionOptions } from './transaction.js';
export { asPgDriver } from './as-pg-driver.js';
export { asPgPool } from './as-pg-pool.js';
export type { PgPoolOptions } from './pg-pool-options.js';
