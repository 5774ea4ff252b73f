import { cohereInputType, readCohere } from './cohere.profile.js';
import type { EmbeddingAnswerShape, EmbeddingLimits, EmbeddingProfile, EmbeddingRequest } from './profile.js';

/** @publicApi */
export interface BedrockProfileOptions {
  /**
   * Signs a request (SigV4): its headers are added to the request's. Default: none, as Bedrock's API keys are bearer tokens
   * and belong in the pool's headers.
   */
  readonly sign?: NonNullable<EmbeddingProfile['sign']>;
}

/**
 * Amazon Bedrock's `InvokeModel`, for Titan (one text in a request) and Cohere (96).
 *
 * The model is Bedrock's name for it, or an ARN; an ARN of an inference profile that does not say `cohere` is read as
 * Titan's.
 *
 * @publicApi
 */
export function bedrockProfile({ sign }: BedrockProfileOptions = {}): EmbeddingProfile {
  return {
    name: 'bedrock',
    matches: ({ hostname }) => /^bedrock-runtime(-fips)?\.[a-z0-9-]+\.amazonaws\.com(\.cn)?$/.test(hostname),
    limitsOf: bedrockLimits,
    path: ({ model }) => `model/${encodeURIComponent(model)}/invoke`,
    body: (request) => (isCohere(request.model) ? cohereBody(request) : titanBody(request)),
    encoding: 'never',
    read: readBedrock,
    classify: ({ status, headers, message = '' }) => {
      const type = headers['x-amzn-errortype'] ?? '';
      if (type.startsWith('ServiceQuotaExceeded')) return 'quota';
      // The model itself failed, or is not loaded yet.
      if (status === 424 || type.startsWith('ModelNotReady')) return 'transient';
      return /too many input tokens|expected maxLength/i.test(message) ? 'too-long' : undefined;
    },
    ...(sign === undefined ? {} : { sign }),
  };
}

function isCohere(model: string): boolean {
  return model.includes('cohere.');
}

function bedrockLimits(model: string): Partial<EmbeddingLimits> {
  // Titan: 8 192 tokens and 50 000 characters.
  if (!isCohere(model)) return { maxInputs: 1, maxInputTokens: 8_192 };
  return { maxInputs: 96, maxInputTokens: model.includes('v3') ? 512 : 128_000 };
}

/** `normalize` is on unless `extraBody` turns it off; version 1 knows neither it nor `dimensions`. */
function titanBody({ texts, dimensions }: EmbeddingRequest): object {
  return { inputText: texts[0], dimensions };
}

function cohereBody({ texts, dimensions, inputType, truncate }: EmbeddingRequest): object {
  return {
    texts,
    input_type: cohereInputType(inputType),
    embedding_types: ['float'],
    output_dimension: dimensions,
    truncate: truncate ? 'END' : 'NONE',
  };
}

function readBedrock(answer: unknown): EmbeddingAnswerShape {
  const { embedding, inputTextTokenCount: tokens } = (answer ?? {}) as Record<string, unknown>;
  if (embedding === undefined) return readCohere(answer);
  return { items: [{ embedding }], tokens: typeof tokens === 'number' ? tokens : undefined };
}
