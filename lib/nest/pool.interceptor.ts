import { type CallHandler, type ExecutionContext, Inject, Injectable, type NestInterceptor } from '@nestjs/common';
import { Observable, type Unsubscribable } from 'rxjs';
import type { Lease } from '../core/index.js';
import { LeaseScope } from './lease-scope.js';
import { PoolRegistry } from './pool.registry.js';
import { RequestEnd } from './request-end.js';
import { type RequestLease, requestLeases } from './request-leases.js';

/** A lease of a request, and what joins it. */
interface RequestHold {
  readonly lease: Lease<unknown>;
  readonly scope: LeaseScope;
}

/**
 * Holds the leases that {@link LeasePerRequest} asks for, for each request. The decorator brings it along; it need not be
 * registered.
 *
 * @publicApi
 */
@Injectable()
export class PoolInterceptor implements NestInterceptor {
  constructor(@Inject(PoolRegistry) private readonly registry: PoolRegistry) {}

  /** Takes the leases when it is subscribed to, so that a request which is given up meanwhile leaves the queue. */
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const wanted = [...requestLeases.of(context.getClass()), ...requestLeases.of(context.getHandler())];
    return new Observable((subscriber) => {
      const request = new RequestEnd(context);
      const holds: RequestHold[] = [];
      const giveBack = (): void => {
        for (const { scope, lease } of holds.splice(0)) void scope.over().then(() => lease[Symbol.dispose]());
      };
      const begin = async (): Promise<void> => {
        for (const lease of wanted) await this.hold(lease, holds, request.signal);
        // At once, where it has been given up.
        subscriber.add(() => void request.over().then(giveBack));
        if (subscriber.closed) return;
        const pass = { next: (value: unknown) => subscriber.next(request.pass(value)) };
        const end = { error: (error: unknown) => subscriber.error(error), complete: () => subscriber.complete() };
        const handle = (): Unsubscribable => next.handle().subscribe({ ...pass, ...end });
        const innermost = holds.at(-1)?.scope;
        // Without one, it stands on the class and on the handler, and the outer one has taken all.
        subscriber.add(innermost === undefined ? handle() : innermost.run(handle));
      };
      subscriber.add(() => request.leave());
      begin().catch((error: unknown) => {
        giveBack();
        subscriber.error(error);
      });
    });
  }

  private async hold({ pool: name, options }: RequestLease, holds: RequestHold[], signal: AbortSignal): Promise<void> {
    const pool = this.registry.get(name);
    if (LeaseScope.of(pool) !== undefined || holds.some(({ scope }) => scope.pool === pool)) return;
    const lease = (await pool.acquire({ ...options, signal })) as Lease<unknown>;
    holds.push({ lease, scope: new LeaseScope(pool, lease.connection, lease, holds.at(-1)?.scope) });
  }
}
