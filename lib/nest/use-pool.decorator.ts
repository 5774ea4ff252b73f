import 'reflect-metadata';
import { Inject } from '@nestjs/common';
import { type AcquireOptions, type ConnectionPool } from '../core/index.js';
import { type LeasedParameter, leasedParameters } from './leased.decorator.js';
import { onlyRegistry } from './pool.registry.js';
import { getPoolToken } from './pool.tokens.js';

/** A method that takes its time; only such a one can hold a lease. @publicApi */
export type AsyncMethod = (...args: any[]) => Promise<unknown>;

/** Where {@link UsePool} finds the pool: by name, or by asking the instance. @publicApi */
export type PoolSource<This> = string | ((self: This) => ConnectionPool<any>);

/** @publicApi */
export interface UsePoolOptions<Args extends unknown[] = any[]> {
  /** Overrides the pool's. */
  readonly acquireTimeoutMs?: number;
  /** Finds, among the method's arguments, the signal that ends the wait for a connection. */
  readonly signal?: (...args: Args) => AbortSignal | undefined;
}

/**
 * Holds a lease for the duration of each call of an async method; the parameter under {@link Leased} gets the connection.
 *
 * ```ts
 * @UsePool('embeddings')
 * async post(texts: string[], @Leased() connection?: HttpConnection) { … }
 * ```
 *
 * The method keeps its name, its length and its metadata, so the decorator works above and below `@Get()`.
 *
 * @param source the pool's name, or a function from the instance to the pool, for a pool that is known only at run time
 * @publicApi
 */
export function UsePool<This = any>(source: PoolSource<This>, options: UsePoolOptions = {}) {
  return <M extends AsyncMethod>(
    target: object,
    key: string | symbol,
    descriptor: TypedPropertyDescriptor<M>,
  ): void => {
    const method = descriptor.value;
    const name = typeof source === 'string' ? source : undefined;
    const place = new DecoratedMethod(target, key, name);
    if (typeof method !== 'function') throw place.error('it decorates no method');
    if (typeof target === 'function') throw place.error('it works on instances, not on static methods');
    place.refuseSync(method);

    const find = typeof source === 'string' ? place.injected(source) : (self: This) => source(self);
    const parameters = leasedParameters(target, key).filter(({ pool }) => pool === undefined || pool === name);
    const proxy = new Proxy(method, {
      apply: (_method, self: This, args: Parameters<M>) => {
        if (parameters.length > 0 && parameters.every(({ index }) => args[index] !== undefined)) {
          return Reflect.apply(method, self, args);
        }
        return lend(find(self), method, self, args, parameters, options, place);
      },
    });
    for (const metadataKey of Reflect.getMetadataKeys(method)) {
      Reflect.defineMetadata(metadataKey, Reflect.getMetadata(metadataKey, method), proxy);
    }
    descriptor.value = proxy;
  };
}

async function lend(
  pool: ConnectionPool<unknown> | undefined,
  method: AsyncMethod,
  self: unknown,
  args: unknown[],
  parameters: readonly LeasedParameter[],
  { acquireTimeoutMs, signal }: UsePoolOptions,
  place: DecoratedMethod,
): Promise<unknown> {
  if (typeof pool?.use !== 'function') throw place.notFound();
  const acquire: AcquireOptions = { acquireTimeoutMs, signal: signal?.(...args) };
  return pool.use((connection) => {
    const filled = [...args];
    // Only `undefined` is "not given"; a caller's null is the caller's.
    for (const { index } of parameters) if (filled[index] === undefined) filled[index] = connection;
    const result = Reflect.apply(method, self, filled);
    if (typeof (result as Promise<unknown> | undefined)?.then !== 'function') throw place.error(SYNC);
    return result;
  }, acquire);
}

const SYNC = 'it must return a promise: a lease ends when the work does, and a sync method cannot say when that is';

/** The method that is decorated, for errors that say where, and what to do. */
class DecoratedMethod {
  private readonly title: string;

  constructor(
    private readonly target: object,
    private readonly key: string | symbol,
    private readonly pool: string | undefined,
  ) {
    const owner = typeof target === 'function' ? target.name : target.constructor.name;
    this.title = `@UsePool(${pool === undefined ? '…' : `'${pool}'`}) on ${owner}.${String(key)}()`;
  }

  error(what: string): TypeError {
    return new TypeError(`${this.title}: ${what}`);
  }

  notFound(): TypeError {
    const registered = this.pool === undefined ? 'the function gave no pool' : `no pool "${this.pool}" was injected`;
    return this.error(
      `${registered}. Register it with PoolModule. If the instance was made by a useFactory or by \`new\`, Nest cannot ` +
        `inject into it: pass the pool to its constructor and write @UsePool((self) => self.pool)`,
    );
  }

  /** What the compiler refuses, for those without one: a method whose declared or actual kind is not a promise's. */
  refuseSync(method: AsyncMethod): void {
    const declared = Reflect.getMetadata('design:returntype', this.target, this.key) as unknown;
    const isDeclaredSync = [String, Number, Boolean, Array].some((type) => type === declared);
    if (isDeclaredSync || method.constructor.name.endsWith('GeneratorFunction')) throw this.error(SYNC);
  }

  /**
   * Has Nest inject the pool into a hidden property, and reads it from there; so that a pool which no module registers
   * stops the boot, and not the first call. An instance that Nest did not make has none: then the application's registry is asked, if just one application runs in this process.
   */
  injected(name: string): (self: unknown) => ConnectionPool<unknown> | undefined {
    const property = Symbol(`pool ${name} of ${String(this.key)}()`);
    Inject(getPoolToken(name))(this.target, property);
    return (self) => {
      const own = (self as Record<symbol, ConnectionPool<unknown> | undefined>)[property];
      if (own !== undefined) return own;
      const registry = onlyRegistry();
      return registry?.has(name) ? registry.get(name) : undefined;
    };
  }
}
