import type { HttpConnection } from '../../http/index.js';
import type { EmbeddingFailureKind } from '../embedding-errors.js';

/** Whether a text is searched by, or searched for: many models embed the two differently. @publicApi */
export type EmbeddingInputType = 'query' | 'document';

/** What one request asks for. @publicApi */
export interface EmbeddingRequest {
  readonly model: string;
  readonly texts: readonly string[];
  readonly dimensions: number | undefined;
  readonly inputType: EmbeddingInputType | undefined;
  /** `base64` is asked for; `undefined`: nothing is said of it. */
  readonly encoding: 'base64' | undefined;
  /** Whether the server is to cut texts that are too long; `false` asks it to refuse them. */
  readonly truncate: boolean;
  /** Fields of the caller's own, which go before the profile's. */
  readonly extraBody: Readonly<Record<string, unknown>> | undefined;
}

/** What a server takes at once. `Infinity`: as much as you like. @publicApi */
export interface EmbeddingLimits {
  /** Texts in one request. */
  readonly maxInputs: number;
  /** Tokens in one request, all texts together. */
  readonly maxTokens: number;
  /** Tokens in one text. */
  readonly maxInputTokens: number;
  /** Bytes of one request's body. */
  readonly maxBytes: number;
  /** Texts in all requests under way. */
  readonly maxInFlightInputs: number;
  /** Requests under way, whatever the pool would allow. */
  readonly maxConcurrency: number;
}

/** One vector of an answer, as it came: base64 of little-endian 32-bit floats, or numbers. @publicApi */
export interface EmbeddingAnswerItem {
  readonly index?: unknown;
  readonly embedding: unknown;
}

/** What is read from an answer of another shape than OpenAI's. @publicApi */
export interface EmbeddingAnswerShape {
  readonly items: readonly EmbeddingAnswerItem[];
  /** As the server counted them. */
  readonly tokens?: number | undefined;
  readonly model?: string | undefined;
}

/** An answer with an error status, as far as it is understood. @publicApi */
export interface EmbeddingFailure {
  readonly status: number;
  /** In small letters. */
  readonly headers: Readonly<Record<string, string>>;
  /** As the server wrote it: it may quote texts and keys, and is not for logs. */
  readonly message: string | undefined;
  readonly type: string | undefined;
  readonly code: string | undefined;
  /** The field of the request that it is about, where the server named one. */
  readonly parameter?: string | undefined;
  /** Texts that the request had. */
  readonly inputs: number;
}

/** A request that is about to be sent, for a signature over it. @publicApi */
export interface EmbeddingOutgoing {
  readonly method: 'POST';
  /** In full, with the query. */
  readonly url: URL;
  /** The profile's own and the content type; the connection adds its own to them. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What a custom call is given. @publicApi */
export interface EmbeddingCall {
  /** Leased for this call. */
  readonly connection: HttpConnection;
  readonly request: EmbeddingRequest;
  readonly signal: AbortSignal;
}

/**
 * How one kind of server is spoken to: its paths, fields, limits, errors and its sign of life.
 *
 * @publicApi
 */
export interface EmbeddingProfile {
  readonly name: string;
  /** Whether a base URL is this kind's. Profiles without it are chosen by name alone. */
  matches?(baseURL: URL): boolean;
  readonly limits?: Partial<EmbeddingLimits>;
  /** The same by model, where a server's models differ; goes before `limits`. */
  limitsOf?(model: string): Partial<EmbeddingLimits>;
  /** Below the pool's `baseURL`, with its query. Default: `embeddings`. */
  path?(request: EmbeddingRequest): string;
  /** Beside the pool's own. */
  headers?(request: EmbeddingRequest): Readonly<Record<string, string>>;
  /** Default: OpenAI's. */
  body?(request: EmbeddingRequest): object;
  /** Whether base64 may be asked for. `auto`: yes, and no more once the server has refused it. Default: `auto`. */
  readonly encoding?: 'auto' | 'never';
  /** For an answer of another shape than OpenAI's; gets the parsed JSON. */
  read?(answer: unknown): EmbeddingAnswerShape;
  /** Headers that depend on the finished request, such as a signature over its body. Asked anew for every attempt. */
  sign?(outgoing: EmbeddingOutgoing): Readonly<Record<string, string>> | Promise<Readonly<Record<string, string>>>;
  /**
   * `false`: with these fields, a text's vector depends on the other texts of its request. Then texts of different calls are
   * not put into one request, and those of one call are neither deduplicated nor cached. Default: `true`.
   */
  mayCoalesce?(extraBody: Readonly<Record<string, unknown>> | undefined): boolean;
  /** What an error means, where it is not what OpenAI would mean by it. `undefined`: as with OpenAI. */
  classify?(failure: EmbeddingFailure): EmbeddingFailureKind | undefined;
  /** A sign of life that costs no tokens. A path that begins with `/` is below the origin, any other below `baseURL`. */
  readonly probe?: { readonly method: 'GET' | 'HEAD'; readonly path: string };
  /** Asked once: what the server itself says of its limits. Its path is read as the probe's. */
  readonly discover?: { readonly path: string; read(answer: unknown): Partial<EmbeddingLimits> };
  /** How much longer the first request may take, which loads the model. Default: 1. */
  readonly firstRequestPatience?: number;
  /** In place of a request over the connection's own client: for signatures, SDKs, other protocols. */
  call?(call: EmbeddingCall): Promise<{ vectors: readonly (Float32Array | readonly number[])[]; tokens?: number }>;
}
