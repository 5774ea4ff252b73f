import type { ClientHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import { codedError } from './exchange.js';

/** Waits for the server's settings: until they have come, nobody knows whether it speaks HTTP/2 at all. @internal */
export function settled(session: ClientHttp2Session, socket: Socket, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    let error: Error & { code?: string } = codedError('the server closed the connection', 'ECONNRESET');
    const giveUp = (): void => {
      error = signal.reason as Error;
      socket.destroy();
    };
    const failed = (failure: Error): void => void (error = failure);
    const closed = (): void => {
      signal.removeEventListener('abort', giveUp);
      reject(signal.aborted ? error : codedError(`no HTTP/2 session: ${error.message}`, error.code ?? 'ECONNRESET'));
    };
    session.on('error', failed);
    session.once('close', closed);
    session.once('remoteSettings', () => {
      signal.removeEventListener('abort', giveUp);
      session.off('close', closed);
      resolve();
    });
    if (signal.aborted) giveUp();
    else signal.addEventListener('abort', giveUp, { once: true });
  });
}
