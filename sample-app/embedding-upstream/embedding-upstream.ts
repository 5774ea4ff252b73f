import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { EmbeddingApi, pathOf } from './embedding-api.js';
import { SocketCensus } from './socket-census.js';

export interface EmbeddingUpstreamOptions {
  /** 0, the default, takes any free port. */
  readonly port?: number | undefined;
  /** Never anything but this machine: the sample's upstream is nobody else's business. */
  readonly host?: '127.0.0.1' | undefined;
  /** Left out: everybody is served. */
  readonly apiKey?: string | undefined;
  /** The one model that is served; `local-hash-384` unless named. */
  readonly model?: string | undefined;
  /** Embedding requests worked on at the same time, 64 unless said; the next one gets a 429. */
  readonly maxInFlight?: number | undefined;
  /** What a distant model would take to answer, 0 unless said: a local hash is too fast to show a pool at work. */
  readonly latencyMs?: number | undefined;
  /** How long an idle socket is kept, 5 s unless said; clients are told by the `Keep-Alive` header. */
  readonly keepAliveTimeoutMs?: number | undefined;
  /** Of the vectors of a request that does not say, 384 unless set. */
  readonly dimensions?: number | undefined;
}

interface EmbeddingUpstreamStats {
  /** Requests of every kind, except those for these numbers. */
  readonly requests: number;
  /** Sockets open now, except those that only ever asked for these numbers. */
  readonly connections: number;
  /** The most sockets that were ever open at once. */
  readonly maxConnections: number;
  /** Embedding requests being worked on. */
  readonly inFlight: number;
}

export interface EmbeddingUpstream {
  /** What a client takes as its base URL. */
  readonly url: string;
  readonly port: number;
  stats(): EmbeddingUpstreamStats;
  /** Cuts every socket, also those with a request in flight, and frees the port. */
  close(): Promise<void>;
}

/** No body of two megabytes takes longer than this on loopback; a client that stalls on purpose is cut off. */
const REQUEST_TIMEOUT_MS = 30_000;

/** Starts an embedding API that speaks OpenAI's protocol and computes its vectors here, so that the sample needs no network and no account. */
export async function startEmbeddingUpstream(options: EmbeddingUpstreamOptions = {}): Promise<EmbeddingUpstream> {
  if (options.apiKey === '') throw new TypeError('apiKey is empty: leave it out to serve everybody');
  const host = options.host ?? '127.0.0.1';
  const census = new SocketCensus();
  let requests = 0;
  const stats = () => ({ requests, connections: census.open, maxConnections: census.mostEver, inFlight: api.inFlight });
  const api = new EmbeddingApi(
    {
      model: options.model ?? 'local-hash-384',
      apiKey: options.apiKey,
      maxInFlight: options.maxInFlight ?? 64,
      latencyMs: options.latencyMs ?? 0,
      defaultDimensions: options.dimensions ?? 384,
    },
    stats,
  );

  const serve = (request: IncomingMessage, response: ServerResponse) => {
    if (pathOf(request) === '/stats') {
      census.observes(request.socket);
    } else {
      census.works(request.socket);
      requests++;
    }
    void api.answer(request, response);
  };
  const server = createServer(
    { keepAliveTimeout: options.keepAliveTimeoutMs ?? 5_000, requestTimeout: REQUEST_TIMEOUT_MS },
    serve,
  );
  server.on('connection', (socket) => census.opened(socket));
  // Without this, Node tells such a client to go on before anybody has looked at its key or its size.
  server.on('checkContinue', serve);
  server.listen(options.port ?? 0, host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  let closed: Promise<void> | undefined;
  const close = () => {
    closed ??= new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
    return closed;
  };
  return { url: `http://${host}:${port}/v1`, port, stats, close };
}
