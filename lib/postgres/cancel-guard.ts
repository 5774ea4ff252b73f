import type { Client } from 'pg';
import { listenToAbort } from '../core/abort-listening.js';
import type { Lease } from '../core/index.js';
import { cancelRunning } from './cancel-request.js';
import { isQuiet, type PooledClient } from './pooled-client.js';

/** How long a cancel request may take to be delivered, and then to work, before the connection is given up. */
const CANCEL_LIMIT_MS = 5_000;

/**
 * A borrower's signal over what its connection does: when it aborts, what runs is cancelled on the server, and nothing more is
 * sent. A connection that cannot be cancelled is destroyed, which ends what runs on it too.
 *
 * @internal
 */
export class CancelGuard {
  private readonly client: Client;
  /** The cancel request under way. */
  private request: Promise<void> | undefined = undefined;
  private limit: NodeJS.Timeout | undefined = undefined;
  private onAbort: ((reason: unknown) => void) | undefined = undefined;

  constructor(
    private readonly lease: Lease<Client>,
    private readonly signal: AbortSignal | undefined,
  ) {
    this.client = lease.connection;
    if (signal?.aborted) this.handleEvent();
    else if (signal !== undefined) listenToAbort(signal, this);
  }

  handleEvent(): void {
    const reason: unknown = this.signal!.reason;
    (this.client as PooledClient).refusal = { reason };
    if (!isQuiet(this.client)) this.request = this.cancel();
    this.onAbort?.(reason);
  }

  /** Ends as `run` does, or with the signal's reason as soon as it aborts. */
  race<R>(run: () => Promise<R>): Promise<R> {
    return new Promise<R>((resolve, reject) => {
      this.onAbort = reject;
      if (this.signal?.aborted) reject(this.signal.reason as Error);
      else run().then(resolve, reject);
    });
  }

  /**
   * Listens no longer. The connection may go to somebody else when this has ended, and not before: a cancel request that is still
   * under way might end the next borrower's query. That the cancelled query itself has ended is for others to wait for.
   */
  end(): Promise<void> | undefined {
    this.signal?.removeEventListener('abort', this);
    // On the way of nearly everybody, so without a promise.
    if (this.request === undefined) return undefined;
    return this.request.finally(() => clearTimeout(this.limit));
  }

  private async cancel(): Promise<void> {
    const isDelivered = await cancelRunning(this.client, CANCEL_LIMIT_MS);
    if (isDelivered) this.limit = setTimeout(() => this.giveUp(), CANCEL_LIMIT_MS);
    else this.giveUp();
  }

  private giveUp(): void {
    if (this.lease.isHeld && !isQuiet(this.client)) this.lease.destroy(new Error('a query could not be cancelled'));
  }
}
