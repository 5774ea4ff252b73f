import type { Socket } from 'node:net';
import { replyCode } from './redis-errors.js';
import type { RedisSettings } from './redis-settings.js';

/** How long a polite close waits for the server's side of it before the socket is torn down. */
const LINGER_MS = 500;

/** A promise that ends with the signal, should that come first. @internal */
export function abortable<R>(work: Promise<R>, signal: AbortSignal): Promise<R> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason as Error);
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    const settled = (): void => signal.removeEventListener('abort', stop);
    work.then(resolve, reject).finally(settled);
  });
}

/** The password of this moment. @internal */
export async function currentPassword({ password }: RedisSettings): Promise<string | undefined> {
  if (typeof password !== 'function') return password;
  const given: unknown = await password();
  if (typeof given !== 'string') throw new TypeError('the password function gave no text');
  return given;
}

/** `CLIENT SETNAME` takes no blanks. @internal */
export function clientNameOf(pool: string): string {
  return pool.replaceAll(/[^!-~]/g, '-');
}

/** Told each error answer; says whether the connection behind it is of no more use. @internal */
export function isOutdated({ options, reconnectOnError }: RedisSettings, error: Error): boolean {
  // Only a server that was a master when it was dialled: of a replica it is no news.
  const wasMaster = !options.readOnly && options.role !== 'slave';
  return (wasMaster && replyCode(error) === 'READONLY') || !!reconnectOnError?.(error);
}

/** Ends sockets, and resolves when they are closed; with commands on them, or out of time, without waiting for the server. @internal */
export async function closeSockets(sockets: readonly Socket[], isIdle: boolean, signal: AbortSignal): Promise<void> {
  await Promise.all(
    sockets
      .filter((socket) => !socket.closed)
      .map((socket) => {
        return new Promise<void>((resolve) => {
          const tearDown = (): void => void socket.destroy();
          const linger = setTimeout(tearDown, LINGER_MS);
          signal.addEventListener('abort', tearDown, { once: true });
          socket.once('close', () => {
            clearTimeout(linger);
            signal.removeEventListener('abort', tearDown);
            resolve();
          });
          if (!isIdle) tearDown();
        });
      }),
  );
}
