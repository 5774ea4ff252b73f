import 'reflect-metadata';
import type { AcquireOptions } from '../core/index.js';

/** What {@link LeasePerRequest} may ask of the pool. @publicApi */
export type LeasePerRequestOptions = Pick<AcquireOptions, 'acquireTimeoutMs' | 'priority'>;

/** A lease that a handler wants for each of its requests. @internal */
export interface RequestLease {
  readonly pool: string;
  readonly options: LeasePerRequestOptions;
}

const REQUEST_LEASES = 'nestjs-pools:request-leases';

/** What handlers and controllers want, noted on them. @internal */
export const requestLeases = {
  add(place: object, lease: RequestLease): void {
    // The one that stands on top comes first.
    Reflect.defineMetadata(REQUEST_LEASES, [lease, ...this.of(place)], place);
  },

  of(place: object): readonly RequestLease[] {
    return (Reflect.getMetadata(REQUEST_LEASES, place) as RequestLease[] | undefined) ?? [];
  },
};
