import type { EmbeddingProfile, EmbeddingRequest } from '../profiles/profile.js';

/** One POST. @internal */
export interface GatewayRequest {
  /** Below the pool's `baseURL`. */
  readonly path: string;
  /** JSON. As bytes, for axios would read a text to see whether it is. */
  readonly body: Buffer;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly headerTimeoutMs: number;
  readonly bodyIdleTimeoutMs: number;
  readonly maxAnswerBytes: number;
  /** Whether the server has asked to be left alone: asked once a connection is there. */
  isHeld(): boolean;
  /** Told while the connection is still lent: who has it next must know what the server has said. */
  onAnswer(answer: GatewayAnswer): void;
}

/** A question without a body. @internal */
export interface GatewayProbe {
  readonly method: 'GET' | 'HEAD';
  readonly timeoutMs: number;
}

/** An answer of any status, as it came. @internal */
export interface GatewayAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
  /** Takes the keys that were sent out of a text that the server wrote. */
  redact(text: string): string;
}

/** What the engine needs of a pool: its size, and to change it. */
interface SizedPool {
  readonly name: string;
  stats(): {
    readonly minConnections: number;
    readonly maxConnections: number;
    readonly down: boolean;
  };
  resize(size: { minConnections?: number; maxConnections?: number }): void;
}

/**
 * The way out: whoever implements it leases a connection for each of these calls.
 *
 * @internal
 */
export interface EmbeddingGateway {
  readonly pool: SizedPool;
  /** `undefined` for a pool that does not tell. */
  readonly baseURL: string | undefined;
  /** `held`: nothing was sent. */
  post(request: GatewayRequest, signal: AbortSignal): Promise<GatewayAnswer | 'held'>;
  get(path: string, ask: GatewayProbe, signal: AbortSignal): Promise<GatewayAnswer>;
  /** A profile's own way of asking. `held`: it was not asked. */
  call(
    profile: EmbeddingProfile,
    request: EmbeddingRequest,
    isHeld: () => boolean,
    signal: AbortSignal,
  ): Promise<Awaited<ReturnType<NonNullable<EmbeddingProfile['call']>>> | 'held'>;
}
