import type { ConnectionPool } from '../core/index.js';
import { type HttpConnection, HttpPool } from '../http/index.js';
import { Leased } from '../nest/leased.decorator.js';
import { UsePool } from '../nest/use-pool.decorator.js';
import type { EmbeddingGateway, GatewayAnswer, GatewayProbe, GatewayRequest } from './engine/gateway.js';
import type { EmbeddingProfile, EmbeddingRequest } from './profiles/profile.js';

const signalOf = (...args: unknown[]): AbortSignal => args.find((arg) => arg instanceof AbortSignal)!;

/**
 * Every HTTP request of an {@link EmbeddingService} is one of these methods. The decorator leases a connection for the call
 * and gives it back, however it ends; nothing is leased between calls.
 *
 * @internal
 */
export class PooledGateway implements EmbeddingGateway {
  readonly baseURL: string | undefined;

  constructor(readonly pool: ConnectionPool<HttpConnection>) {
    this.baseURL = pool instanceof HttpPool ? pool.baseURL : undefined;
  }

  @UsePool<PooledGateway>((self) => self.pool, { signal: signalOf })
  async post(
    request: GatewayRequest,
    signal: AbortSignal,
    @Leased() connection?: HttpConnection,
  ): Promise<GatewayAnswer | 'held'> {
    // After a 429 nothing starts before its time, however long its connection took.
    if (request.isHeld()) return 'held';
    const { path, body, headers, timeoutMs, headerTimeoutMs, bodyIdleTimeoutMs, maxAnswerBytes } = request;
    const answer = await connection!.client.post<Buffer>(path, body, {
      ...WHOLE_ANSWER,
      headers: { ...JSON_HEADERS, ...headers },
      timeout: timeoutMs,
      headerTimeoutMs,
      bodyIdleTimeoutMs,
      maxContentLength: maxAnswerBytes,
      signal,
    });
    const own = answerOf(answer, connection!);
    request.onAnswer(own);
    return own;
  }

  @UsePool<PooledGateway>((self) => self.pool, { signal: signalOf })
  async get(
    path: string,
    ask: GatewayProbe,
    signal: AbortSignal,
    @Leased() connection?: HttpConnection,
  ): Promise<GatewayAnswer> {
    const { method, timeoutMs: timeout } = ask;
    const fromOrigin = path.startsWith('/');
    const config = { ...WHOLE_ANSWER, method, url: path, fromOrigin, timeout, signal };
    const answer = await connection!.client.request<Buffer>(config);
    return answerOf(answer, connection!);
  }

  @UsePool<PooledGateway>((self) => self.pool, { signal: signalOf })
  async call(
    profile: EmbeddingProfile,
    request: EmbeddingRequest,
    isHeld: () => boolean,
    signal: AbortSignal,
    @Leased() connection?: HttpConnection,
  ): Promise<Awaited<ReturnType<NonNullable<EmbeddingProfile['call']>>> | 'held'> {
    if (isHeld()) return 'held';
    return profile.call!({ connection: connection!, request, signal });
  }
}

/** Bytes, of whatever status: errors of axios would hold them, and its parser would copy them. */
const WHOLE_ANSWER = {
  responseType: 'arraybuffer',
  validateStatus: () => true,
  // The same texts have the same vectors: sent twice, they cost tokens and change nothing.
  replay: true,
} as const;

/** Unpacking base64 takes longer than what it saves on the wire. */
const JSON_HEADERS = { 'content-type': 'application/json', 'accept-encoding': 'identity' } as const;

function answerOf(
  { status, headers, data }: { status: number; headers: unknown; data: Buffer },
  connection: HttpConnection,
): GatewayAnswer {
  return {
    status,
    headers: headers as GatewayAnswer['headers'],
    body: data,
    redact: (text) => connection.redact(text),
  };
}
