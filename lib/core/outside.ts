import { AsyncResource } from 'node:async_hooks';

/**
 * Runs work in the async context in which the pool was made, so that a connection, a timer or a listener never keeps the
 * AsyncLocalStorage store of the request alive that happened to need it first.
 *
 * An AsyncResource of its own: a tenth of what a function of `AsyncLocalStorage.snapshot()` costs per call.
 *
 * @internal
 */
export class Outside {
  private readonly resource = new AsyncResource('ConnectionPool');

  run(work: () => void): void {
    this.resource.runInAsyncScope(work);
  }
}
