import type { Client, PoolClient } from 'pg';

/** Why a client comes back, if not because all is well. @internal */
export type Reason = Error | boolean | null | undefined;

/** Gives a client back; with a reason, to be closed. @internal */
export type Release = (reason?: Reason) => void;

/** Where a leased client is given back; `isFit` to be lent again, if the client itself is. */
type TakeBack = (reason: Reason, isFit: boolean) => void;

/** What `release` is between two leases. */
const alreadyReleased: Release = () => {
  throw new Error('Release called on client which has already been released to the pool.');
};

/**
 * A client in the hands of somebody who knows pg-pool: for the time of it, the client has a `release`.
 *
 * @internal
 */
export class PgLease<C extends Client = Client> {
  readonly client: C & PoolClient;
  private isReturned = false;

  constructor(
    client: C,
    private readonly takeBack: TakeBack,
  ) {
    this.client = client as C & PoolClient;
    this.client.release = this.release;
  }

  readonly release: Release = (reason) => this.end(reason, !reason);

  /** As `release` does, but with a say of one's own whether a client with which something went wrong is fit all the same. */
  end(reason: Reason, isFit: boolean): void {
    if (this.isReturned) alreadyReleased();
    this.isReturned = true;
    this.client.release = alreadyReleased;
    this.takeBack(reason, isFit);
  }
}

/** Whether somebody has this client in the way of pg-pool. @internal */
export function isLent(client: Client): boolean {
  const { release } = client as Partial<PoolClient>;
  return release !== undefined && release !== alreadyReleased;
}

/** Whether pg-pool would keep it: it looks at the same two private fields, for which pg has no public word. @internal */
export function isUsable(client: Client): boolean {
  const { _queryable, _ending } = client as { _queryable?: boolean; _ending?: boolean };
  return _queryable !== false && _ending !== true;
}

/** Whether its connection is gone. @internal */
export function hasEnded(client: Client): boolean {
  return (client as { _ended?: boolean })._ended === true;
}
