import 'reflect-metadata';
import { UseInterceptors } from '@nestjs/common';
import { ACQUIRE, type Rule } from '../core/option-rules.js';
import { checkDecorator, DecoratedMethod } from './decorated-method.js';
import { expectJoining, LeaseScope } from './lease-scope.js';
import { fillLeased, leasedParameters } from './leased.decorator.js';
import { copyMetadata } from './method-metadata.js';
import { injectedPool } from './pool-property.js';
import { PoolInterceptor } from './pool.interceptor.js';
import { type LeasePerRequestOptions, requestLeases } from './request-leases.js';

const RULES: Record<keyof LeasePerRequestOptions, Rule> = {
  acquireTimeoutMs: ACQUIRE.acquireTimeoutMs,
  priority: ACQUIRE.priority,
};

type Handler = (...args: any[]) => unknown;

/**
 * One lease for a whole request: taken before the handler is called, given back when the response has ended or the client has
 * left, but never under a handler that is still at work. In messages and events, which have no response: when the handler
 * has ended.
 *
 * The handler's parameter under {@link Leased} gets the connection, and methods under `@UsePool(name, { nested: 'join' })` that
 * it calls use the same one. On a class it holds for every handler.
 *
 * ```ts
 * @LeasePerRequest('documents')
 * @Get('report')
 * async report(@Leased() session?: Session) { … }
 * ```
 *
 * @throws TypeError when the class is defined: for what is no handler, and for options that cannot work
 * @publicApi
 */
export function LeasePerRequest(name: string, options: LeasePerRequestOptions = {}): ClassDecorator & MethodDecorator {
  return (target: object, key?: string | symbol, descriptor?: TypedPropertyDescriptor<any>): void => {
    const owner = typeof target === 'function' ? target.name : target.constructor.name;
    const place = `${titleOf(name)} on ${owner}${key === undefined ? '' : `.${String(key)}()`}`;
    checkDecorator(place, RULES, options);
    expectJoining();
    if (key !== undefined && descriptor !== undefined) {
      if (typeof descriptor.value !== 'function' || typeof target === 'function')
        throw new DecoratedMethod(target, key, titleOf(name)).error('it stands on a handler, a method of an instance');
      descriptor.value = filled(target, key, descriptor.value as Handler, name);
      annotate(descriptor.value as Handler);
      return;
    }
    const { prototype } = target as { prototype: object };
    // A pool that no module registers stops the boot, also where no handler has a parameter for it.
    injectedPool(prototype, name, place);
    for (const method of Reflect.ownKeys(prototype)) {
      const own = Object.getOwnPropertyDescriptor(prototype, method)!;
      if (leasedParameters(prototype, method).length === 0 || typeof own.value !== 'function') continue;
      Object.defineProperty(prototype, method, {
        ...own,
        value: filled(prototype, method, own.value as Handler, name),
      });
    }
    annotate(target);
  };

  function annotate(place: object): void {
    requestLeases.add(place, { pool: name, options });
    UseInterceptors(PoolInterceptor)(place as never, undefined as never, { value: place } as never);
  }
}

/** The handler, with the request's connection where a parameter is for it. */
function filled(target: object, key: string | symbol, handler: Handler, name: string): Handler {
  const place = new DecoratedMethod(target, key, titleOf(name));
  const find = injectedPool(target, name, place.title);
  const parameters = leasedParameters(target, key).filter(({ pool }) => pool === undefined || pool === name);
  const proxy = new Proxy(handler, {
    apply: (_handler, self, args: unknown[]) => {
      const isMissing = parameters.some(({ index }) => args[index] === undefined);
      const pool = find(self);
      const scope = pool && LeaseScope.of(pool);
      if (scope === undefined && isMissing) throw place.error(OUTSIDE);
      if (scope === undefined) return Reflect.apply(handler, self, args) as unknown;
      return workUnder(scope, () => Reflect.apply(handler, self, fillLeased(args, parameters, scope.connection)));
    },
  });
  copyMetadata(handler, proxy);
  return proxy;
}

/** A handler that has been given up, as by a time limit around it, works on; the lease waits for it. */
function workUnder(scope: LeaseScope, handle: () => unknown): unknown {
  const leave = (): void => scope.leave();
  let result: unknown;
  scope.join();
  try {
    result = handle();
  } catch (error) {
    leave();
    throw error;
  }
  if (result instanceof Promise) result.then(leave, leave);
  else leave();
  return result;
}

const OUTSIDE =
  'it was called outside of a request, so there is no lease; call it through Nest, pass a connection, or use @UsePool';

function titleOf(name: string): string {
  return `@LeasePerRequest('${name}')`;
}
