import type { Socket } from 'node:net';
import { listenToAbort } from '../core/abort-listening.js';
import { connectionReset } from './dial-error.js';

/**
 * Listens for `error` as long as the socket lives: one that nobody listens for ends the process. Who wants to know reads
 * `socket.errored`.
 *
 * @internal
 */
export function neverThrow(socket: Socket): void {
  socket.on('error', () => {});
}

/** What a step on the way to a connection may do with its promise, once. @internal */
export interface Step<R> {
  readonly resolve: (value: R) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * A promise that a signal ends: with the signal's reason, after `giveUp` has let go of whatever was begun.
 *
 * @internal
 */
export function step<R>(signal: AbortSignal, begin: (step: Step<R>) => void, giveUp: () => void): Promise<R> {
  return new Promise((resolve, reject) => {
    const onAbort = {
      handleEvent: (): void => {
        settle();
        giveUp();
        reject(signal.reason as Error);
      },
    };
    const settle = (): void => signal.removeEventListener('abort', onAbort);
    if (signal.aborted) return onAbort.handleEvent();
    listenToAbort(signal, onAbort);
    const fail = (error: unknown): void => {
      settle();
      reject(error as Error);
    };
    try {
      begin({
        resolve: (value) => {
          settle();
          resolve(value);
        },
        reject: fail,
      });
    } catch (error) {
      giveUp();
      fail(error);
    }
  });
}

/**
 * Waits for an event of a socket that is on its way. A socket that dies first rejects with what `failed` makes of it; an abort
 * destroys it.
 *
 * @internal
 */
export function reached(
  socket: Socket,
  event: 'connect' | 'secureConnect',
  signal: AbortSignal,
  failed: (error: unknown) => Error,
): Promise<void> {
  return step<void>(
    signal,
    ({ resolve, reject }) => {
      const onClose = (): void => reject(failed(socket.errored ?? connectionReset()));
      if (socket.destroyed) return onClose();
      socket.once('close', onClose);
      socket.once(event, () => {
        socket.off('close', onClose);
        resolve();
      });
    },
    () => socket.destroy(),
  );
}
