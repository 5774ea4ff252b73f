import { inspect } from 'node:util';
import type { Cluster, Redis } from 'ioredis';

/** Options that hold a password or a private key, or options that do. */
const SECRET = ['password', 'sentinelPassword', 'tls', 'sentinelTLS', 'redisOptions'] as const;

/**
 * Keeps a client's password out of logs. ioredis has it as a plain property of `options`, for anything that inspects a
 * connection, or an object that holds one, to print.
 *
 * @internal
 */
export function conceal(client: Redis | Cluster, description: string): void {
  const name = client.isCluster ? 'Cluster' : 'Redis';
  show(client, () => `${name} ${description} (${client.status})`, { url: description });
  concealOptions(client.options);
}

/** Forgets the login that a connected client keeps for the next connect: the pool never lets it connect again. @internal */
export function forgetLogin(redis: Redis): void {
  // Not deleted: an object that has lost a property is slow, and ioredis looks at this one at every command.
  if (redis.condition !== null) redis.condition.auth = undefined;
}

/** They still are what they were for ioredis, also for `duplicate()`. Only who prints them does not see them. */
function concealOptions(options: object): void {
  const open = Object.fromEntries(Object.entries(options).filter(([key]) => !SECRET.includes(key as never)));
  for (const key of SECRET) {
    const value: unknown = Reflect.get(options, key);
    if (value === undefined || value === null) continue;
    Object.defineProperty(options, key, { get: () => value, enumerable: true, configurable: true });
  }
  show(options, () => inspect(open), open);
}

function show(target: object, inspected: () => string, json: object): void {
  Object.defineProperty(target, inspect.custom, { value: inspected, configurable: true, writable: true });
  Object.defineProperty(target, 'toJSON', { value: () => json, configurable: true, writable: true });
}
