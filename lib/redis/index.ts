export { ClusterConnectionFactory } from './cluster-connection.factory.js';
export { RedisConnectionFactory } from './redis-connection.factory.js';
export { RedisConflictError } from './redis-errors.js';
export { RedisPool, redisPool } from './redis-pool.js';
export type { RedisClusterPlace, RedisClusterPoolOptions, RedisPoolOptions } from './redis-settings.js';
export { type RedisMessage, RedisSubscription, type SubscribeOptions } from './redis-subscription.js';
export type { TransactionOptions, TransactionResult, TransactionWork } from './redis-transaction.js';
