import { checkGroup, oneOf, type Rule, someText } from '../../core/option-rules.js';
import { PoolOptionsError } from '../../core/index.js';
import type { Embedder, EmbedderManyCall } from './embedder.js';
import { allPlainNumbers } from './plain-numbers.js';

/** Options of {@link asEmbeddingModel}. @publicApi */
export interface EmbeddingModelOptions<Version extends 'v3' | 'v4' = 'v3'> {
  /** `v3` for AI SDK 6, `v4` for AI SDK 7, which takes `v3` too. Default: `v3`. */
  readonly specificationVersion?: Version;
  /** As spans and warnings name it. Default: `nestjs-pools`. */
  readonly provider?: string;
}

/** What the AI SDK asks for. @publicApi */
export interface EmbeddingModelCall {
  readonly values: readonly string[];
  readonly abortSignal?: AbortSignal | undefined;
  /** Ours are under `nestjsPools`: `{ inputType: 'query' | 'document' }`. */
  readonly providerOptions?: Readonly<Record<string, Readonly<Record<string, unknown>>>> | undefined;
  /** Not sent on: a pool's headers are its own. */
  readonly headers?: Readonly<Record<string, string | undefined>> | undefined;
  /** AI SDK 7 may ask for some. */
  readonly dimensions?: number | undefined;
}

/** Something that was asked for and not done. @publicApi */
export interface EmbeddingModelWarning {
  type: 'unsupported';
  feature: string;
  details: string;
}

/** What the AI SDK gets. @publicApi */
export interface EmbeddingModelResult {
  embeddings: number[][];
  /** Absent where the server has not counted; the AI SDK then tells of `NaN` tokens. */
  usage?: { tokens: number };
  warnings: EmbeddingModelWarning[];
}

/** The AI SDK's `EmbeddingModelV3` or `EmbeddingModelV4`. @publicApi */
export interface PooledEmbeddingModel<Version extends 'v3' | 'v4' = 'v3'> {
  readonly specificationVersion: Version;
  readonly provider: string;
  readonly modelId: string;
  readonly maxEmbeddingsPerCall: number;
  readonly supportsParallelCalls: boolean;
  doEmbed(call: EmbeddingModelCall): Promise<EmbeddingModelResult>;
}

const MODEL: Record<keyof EmbeddingModelOptions, Rule> = {
  specificationVersion: oneOf('v3', 'v4'),
  provider: someText,
};
const CALL: Record<string, Rule> = { inputType: oneOf('query', 'document') };

/**
 * For `embed` and `embedMany` of the AI SDK, and for all that takes an embedding model of it.
 *
 * All texts of a call come at once: the embedder makes better requests of them than the SDK's chunks, which go in waves.
 * Errors come through as they are. The SDK tries only its own errors again, so `maxRetries` multiplies nothing.
 *
 * @throws {@link PoolOptionsError} naming every option that is wrong
 * @publicApi
 */
export function asEmbeddingModel<const Version extends 'v3' | 'v4' = 'v3'>(
  embedder: Embedder,
  options: EmbeddingModelOptions<Version> = {},
): PooledEmbeddingModel<Version> {
  const problems = checkGroup(MODEL, options);
  if (problems.length > 0) throw new PoolOptionsError('asEmbeddingModel', problems);
  const { specificationVersion = 'v3' as Version, provider = 'nestjs-pools' } = options;
  return {
    specificationVersion,
    provider,
    modelId: embedder.model,
    maxEmbeddingsPerCall: Infinity,
    supportsParallelCalls: true,
    doEmbed: (call) => doEmbed(embedder, call),
  };
}

async function doEmbed(embedder: Embedder, call: EmbeddingModelCall): Promise<EmbeddingModelResult> {
  const { values, abortSignal, dimensions } = call;
  const inputType = inputTypeOf(call.providerOptions?.nestjsPools);
  let tokens = values.length === 0 ? 0 : undefined;
  const vectors = await embedder.embedMany(values, {
    ...(abortSignal === undefined ? {} : { signal: abortSignal }),
    ...(inputType === undefined ? {} : { inputType }),
    ...(dimensions === undefined ? {} : { dimensions }),
    onUsage: (usage) => (tokens = (tokens ?? 0) + usage.tokens),
  });
  return {
    embeddings: allPlainNumbers(vectors),
    // One answer without a count, and the sum says nothing.
    ...(Number.isFinite(tokens) ? { usage: { tokens: tokens! } } : {}),
    warnings: warningsOf(call, vectors[0]?.length),
  };
}

function inputTypeOf(options: Readonly<Record<string, unknown>> | undefined): EmbedderManyCall['inputType'] {
  if (options === undefined) return undefined;
  const problems = checkGroup(CALL, options, 'providerOptions.nestjsPools.');
  if (problems.length > 0) throw new PoolOptionsError('asEmbeddingModel', problems);
  return options.inputType as EmbedderManyCall['inputType'];
}

function warningsOf(call: EmbeddingModelCall, length: number | undefined): EmbeddingModelWarning[] {
  const warnings: EmbeddingModelWarning[] = [];
  const warn = (feature: string, details: string): void => {
    warnings.push({ type: 'unsupported', feature, details });
  };
  // The SDK itself adds a user agent to every call.
  if (Object.keys(call.headers ?? {}).some((name) => name.toLowerCase() !== 'user-agent')) {
    warn('headers', "they are not sent: give them to the pool's `headers`");
  }
  if (call.dimensions !== undefined && length !== undefined && call.dimensions !== length) {
    warn('dimensions', `the vectors have ${length}: give \`dimensions\` to what embeds`);
  }
  return warnings;
}
