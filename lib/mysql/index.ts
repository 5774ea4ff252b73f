export { asMysqlDriver } from './as-mysql-driver.js';
export { asMysqlPool } from './as-mysql-pool.js';
export { QueryTimeoutError } from './cancel-guard.js';
export { mysqlPool } from './define-mysql-pool.js';
export type { MysqlFacadeOptions } from './facade-options.js';
export { MysqlConnectionFactory } from './mysql-connection.factory.js';
export { MysqlPool, type MysqlQueryOptions } from './mysql-pool.js';
export type { MysqlPoolOptions } from './mysql-pool-options.js';
export { type MysqlTransactionOptions, TransactionRolledBackError } from './transaction.js';
