import { isIP } from 'node:net';
import type { ConnectionOptions as TlsOptions } from 'node:tls';
import { type Client, Connection } from 'pg';
import { PooledClient, socketOf } from './pooled-client.js';

/** pg's own half of the protocol, of which its types declare little. */
interface CancelConnection {
  connect(port: number | string, host?: string): void;
  requestSsl(): void;
  cancel(processId: number, secretKey: number): void;
  on(event: string, listener: (...args: unknown[]) => void): this;
  readonly stream: { destroy(): void };
}

interface CancelKeys {
  readonly processID: number | null;
  readonly secretKey: number | null;
  readonly sslNegotiation?: string;
}

/**
 * Asks the server, over a connection of its own, to end what it does for this client.
 *
 * Resolves to whether the server has taken the request. It has when it closes that connection: by then the signal is on its way to
 * the backend, which looks at it before it looks at any further query, and ignores it when it is idle. So a query that is sent
 * after this has resolved is never the one that is ended. One that is sent before may be: the client must stay in the
 * hands of whoever asked until then.
 *
 * @internal
 */
export function cancelRunning(client: Client, limitMs: number): Promise<boolean> {
  const { processID, secretKey, sslNegotiation } = client as unknown as CancelKeys;
  if (processID === null || secretKey === null) return Promise.resolve(false);
  const { host, port } = client;
  const ssl = tlsOf(client);
  const stream = client instanceof PooledClient ? client.settings.clientConfig().stream : undefined;
  // To the very server that runs the query: its name may stand for several.
  const address = socketOf(client).remoteAddress ?? host;
  return new Promise<boolean>((resolve) => {
    const connection = new Connection({ ssl, sslNegotiation, stream } as never) as unknown as CancelConnection;
    let isSent = false;
    const send = (): void => {
      isSent = true;
      connection.cancel(processID, secretKey);
    };
    const settle = (isTaken: boolean): void => {
      clearTimeout(limit);
      resolve(isTaken);
      connection.stream.destroy();
    };
    connection.on('error', () => settle(false));
    connection.on('end', () => settle(isSent));
    connection.on('sslconnect', send);
    connection.on('connect', () => {
      if (!ssl) send();
      else if (sslNegotiation !== 'direct') connection.requestSsl();
    });
    if (host.startsWith('/')) connection.connect(`${host}/.s.PGSQL.${port}`);
    else connection.connect(port, address);
    const limit = setTimeout(() => settle(false), limitMs);
    // What throws is a stream of the user's own making.
  }).catch(() => false);
}

/** The certificate is for the name, though it is the address that is dialled. */
function tlsOf({ ssl, host }: { readonly ssl: boolean | TlsOptions; readonly host: string }): boolean | TlsOptions {
  if (ssl === false || isIP(host) !== 0) return ssl;
  // By its name: pg has hidden the key.
  return ssl === true ? { servername: host } : { ...ssl, ...(ssl.key && { key: ssl.key }), servername: host };
}
