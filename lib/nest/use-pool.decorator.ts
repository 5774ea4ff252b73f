import 'reflect-metadata';
import type { ConnectionPool } from '../core/index.js';
import { ACQUIRE, oneOf, type Rule } from '../core/option-rules.js';
import { checkDecorator, DecoratedMethod } from './decorated-method.js';
import { expectJoining } from './lease-scope.js';
import { fillLeased, type LeasedParameter, leasedParameters } from './leased.decorator.js';
import { acquireOptionsOf } from './method-acquire-options.js';
import { injectedPool } from './pool-property.js';
import { copyMetadata } from './method-metadata.js';
import { PooledMethod, type PooledResult } from './pooled-method.js';
import type { PoolSource, UsePoolDecorator, UsePoolOptions } from './use-pool-options.interface.js';

/**
 * Holds a lease for the duration of each call of an async method; the parameter under {@link Leased} gets the connection.
 *
 * ```ts
 * @UsePool('embeddings')
 * async post(texts: string[], @Leased() connection?: HttpConnection) { … }
 * ```
 *
 * Where the method gives back something that goes on (a stream, an async iterable, an Observable), the lease lives until that
 * has ended, failed, or been left by its consumer. The method keeps its name, its length and its metadata, so the decorator
 * works above and below `@Get()`.
 *
 * @param source the pool's name, or a function from the instance to the pool, for a pool that is known only at run time
 * @throws TypeError when the class is defined: for a method that is static, or gives back a mere value, and for options that
 *   cannot work
 * @publicApi
 */
export function UsePool<const N extends string>(name: N, options?: UsePoolOptions): UsePoolDecorator<N>;
export function UsePool<This = any>(
  find: (self: This) => ConnectionPool<any>,
  options?: UsePoolOptions,
): UsePoolDecorator<string>;
export function UsePool(source: PoolSource<never>, options: UsePoolOptions = {}): UsePoolDecorator<string> {
  const name = typeof source === 'string' ? source : undefined;
  return (target, key, descriptor) => {
    const place = new DecoratedMethod(target, key, `@UsePool(${name === undefined ? '…' : `'${name}'`})`);
    checkDecorator(place.title, RULES, options);
    const method = descriptor.value as ((...args: any[]) => unknown) | undefined;
    if (typeof method !== 'function') throw place.error('it decorates no method');
    if (typeof target === 'function') throw place.error('it works on instances, not on static methods');
    // Several of these may stand on a method, each around the next.
    const inner = chains.get(method);
    const chain: Chain = inner ?? { method, returns: options.returns ?? place.resultKind(method), pools: new Set() };
    chain.pools.add(name);
    const { returns } = chain;
    const parameters = parametersFor(place, name, inner !== undefined);
    const find = typeof source === 'function' ? source : injectedPool(target, source, place.title);
    const joins = options.nested === 'join';
    if (joins) expectJoining();
    const pooled = new PooledMethod({
      poolOf: (self) => {
        const pool = find(self as never);
        if (typeof pool?.use !== 'function') throw place.error(notFound(name));
        return pool;
      },
      returns,
      joins,
      invoke: (self, args, connection) => Reflect.apply(method, self, fillLeased(args, parameters, connection)),
      optionsOf: acquireOptionsOf(place, chain.method, options),
      unexpected: (result) => place.unexpected(result, returns),
    });
    const proxy = new Proxy(method, {
      apply: (_method, self, args: unknown[]) => {
        if (!chain.isChecked) checkLeased(place, chain, proxy, args);
        if (parameters.length === 0 || parameters.some(({ index }) => args[index] === undefined))
          return pooled.call(self, args);
        return Reflect.apply(method, self, args);
      },
    });
    copyMetadata(method, proxy);
    chains.set(proxy, chain);
    descriptor.value = proxy as never;
  };
}

const RULES: Record<keyof UsePoolOptions, Rule> = {
  acquireTimeoutMs: ACQUIRE.acquireTimeoutMs,
  priority: ACQUIRE.priority,
  signal: (value) =>
    typeof value === 'string' || typeof value === 'function'
      ? undefined
      : 'the name of a parameter, or a function of the arguments',
  nested: oneOf('new', 'join'),
  returns: oneOf('promise', 'iterable', 'observable', 'stream'),
};

/** All decorators of this kind on one method. */
interface Chain {
  readonly method: (...args: any[]) => unknown;
  readonly returns: PooledResult;
  /** The names of their pools; `undefined` for one that is known only at run time. */
  readonly pools: Set<string | undefined>;
  isChecked?: boolean;
}

/** By what stands in the method's place. */
const chains = new WeakMap<object, Chain>();

function parametersFor(place: DecoratedMethod, pool: string | undefined, isOneOfSeveral: boolean): LeasedParameter[] {
  const parameters = leasedParameters(place.target, place.key);
  if (isOneOfSeveral && parameters.some((parameter) => parameter.pool === undefined)) {
    throw place.error("several pools: say which connection each parameter gets, as in @Leased('documents')");
  }
  return parameters.filter((parameter) => parameter.pool === undefined || parameter.pool === pool);
}

/** At the first call, for only then all decorators have been met. */
function checkLeased(place: DecoratedMethod, chain: Chain, outermost: object, args: readonly unknown[]): void {
  for (const { pool, index } of leasedParameters(place.target, place.key)) {
    if (pool !== undefined && !chain.pools.has(pool))
      throw place.error(`@Leased('${pool}') marks a parameter, and no @UsePool('${pool}') stands on the method`);
    // Without a decorator on the message, Nest passes it as the first argument: a text in the place of a connection.
    if (args[index] !== undefined && isMessageHandler(outermost) && !hasRouteArguments(place))
      throw place.error(
        'Nest passes the message into the parameter under @Leased(); mark the message, as by @Payload()',
      );
  }
  chain.isChecked = true;
}

function isMessageHandler(method: object): boolean {
  return MESSAGE_HANDLERS.some((key) => Reflect.hasMetadata(key, method));
}

function hasRouteArguments({ target, key }: DecoratedMethod): boolean {
  return Reflect.hasMetadata(ROUTE_ARGUMENTS, target.constructor, key);
}

/** Nest's own names of what its decorators note; the packages that would export them are not ours to require. */
const MESSAGE_HANDLERS = ['microservices:handler_type', 'websockets:message_mapping'];
const ROUTE_ARGUMENTS = '__routeArguments__';

function notFound(pool: string | undefined): string {
  const registered = pool === undefined ? 'the function gave no pool' : `no pool "${pool}" was injected`;
  return (
    `${registered}. Register it with PoolModule. If the instance was made by \`new\`, Nest does not know it: pass the pool ` +
    'to its constructor and write @UsePool((self) => self.pool)'
  );
}
