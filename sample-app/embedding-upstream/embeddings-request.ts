import { Refusal } from './refusal.js';
import { countTokens } from './text-vectorizer.js';
import type { WorkSlice } from './work-slice.js';

/** A request for embeddings that passed every check. */
export interface EmbeddingsRequest {
  readonly texts: readonly string[];
  readonly model: string;
  readonly dimensions: number;
  readonly encoding: 'float' | 'base64';
}

const MAX_INPUTS = 2048;
const MAX_DIMENSIONS = 4096;
const MAX_TOKENS_PER_INPUT = 8192;
const MAX_TOKENS_PER_REQUEST = 300_000;
const FIELDS = new Set(['input', 'model', 'encoding_format', 'dimensions', 'user']);

/** Reads the body as OpenAI does: strictly, since a misspelt `dimension` that is silently ignored costs its writer an afternoon. */
export function parseEmbeddingsRequest(
  body: Buffer,
  served: { readonly model: string; readonly defaultDimensions: number },
): EmbeddingsRequest {
  const fields = parseObject(body);
  for (const field of Object.keys(fields)) {
    if (!FIELDS.has(field)) throw new Refusal(400, `Unrecognized request argument supplied: ${excerpt(field)}`);
  }
  const { input, model, encoding_format = 'float', dimensions = served.defaultDimensions, user } = fields;

  if (model === undefined || model === '')
    throw new Refusal(400, 'you must provide a model parameter', { param: 'model' });
  if (typeof model !== 'string') throw invalid('model', 'it must be a string.');
  if (model !== served.model) throw unknownModel(model);
  if (encoding_format !== 'float' && encoding_format !== 'base64') {
    throw invalid('encoding_format', "it must be 'float' or 'base64'.");
  }
  if (!isWholeNumber(dimensions) || dimensions < 1 || dimensions > MAX_DIMENSIONS) {
    throw invalid('dimensions', `it must be a whole number from 1 to ${MAX_DIMENSIONS}.`);
  }
  if (user !== undefined && typeof user !== 'string') throw invalid('user', 'it must be a string.');
  return { texts: readTexts(input), model, dimensions, encoding: encoding_format };
}

/** The tokens of the whole request; refuses what is too long. Apart from parsing, because counting megabytes takes time that others need. */
export async function countRequestTokens(texts: readonly string[], slice: WorkSlice): Promise<number> {
  let total = 0;
  for (const text of texts) {
    const tokens = countTokens(text);
    if (tokens > MAX_TOKENS_PER_INPUT) {
      throw new Refusal(
        400,
        `This model's maximum context length is ${MAX_TOKENS_PER_INPUT} tokens, however you requested ${tokens} tokens ` +
          `(${tokens} in your prompt; 0 for the completion). Please reduce your prompt; or completion length.`,
        { param: 'input' },
      );
    }
    total += tokens;
    await slice.breathe();
  }
  if (total > MAX_TOKENS_PER_REQUEST) {
    const message = `Requested ${total} tokens, max ${MAX_TOKENS_PER_REQUEST} tokens per request`;
    throw new Refusal(400, message, { param: 'input', code: 'max_tokens_per_request' });
  }
  return total;
}

export function unknownModel(model: string): Refusal {
  const message = `The model \`${excerpt(model)}\` does not exist or you do not have access to it.`;
  return new Refusal(404, message, { param: 'model', code: 'model_not_found' });
}

function parseObject(body: Buffer): Record<string, unknown> {
  let value: unknown;
  try {
    // Fatal: a broken byte must not become a replacement character, which would be embedded as if it had been meant.
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    // The parser's own message quotes the body; the body is the client's text and stays out of every message.
    throw new Refusal(400, 'We could not parse the JSON body of your request: it must be one JSON object in UTF-8.');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Refusal(400, 'The body of your request must be a JSON object.');
  }
  return { ...value };
}

function readTexts(input: unknown): readonly string[] {
  if (input === undefined) throw new Refusal(400, "Missing required parameter: 'input'.", { param: 'input' });
  if (typeof input === 'string') {
    if (isBlank(input)) throw invalid('input', 'an empty or blank string has no embedding.');
    return [input];
  }
  if (!Array.isArray(input)) throw invalid('input', 'it must be a string or an array of strings.');
  const items: readonly unknown[] = input;
  if (items.length === 0) throw invalid('input', 'the array is empty.');
  if (items.length > MAX_INPUTS)
    throw invalid('input', `the array has ${items.length} items, at most ${MAX_INPUTS} are allowed.`);
  return items.map((item, index) => {
    if (typeof item === 'number' || Array.isArray(item)) {
      throw invalid(
        'input',
        'this server takes text, not arrays of tokens: they mean something to one tokenizer only.',
      );
    }
    if (typeof item !== 'string') throw invalid('input', `item ${index} is not a string.`);
    if (isBlank(item)) throw invalid('input', `item ${index} is an empty or blank string.`);
    return item;
  });
}

/** `'$.input' is invalid` is what clients look for in OpenAI's own message. */
function invalid(param: string, reason: string): Refusal {
  return new Refusal(400, `'$.${param}' is invalid: ${reason}`, { param });
}

function isBlank(text: string): boolean {
  return text.trim() === '';
}

function isWholeNumber(value: unknown): value is number {
  return Number.isInteger(value);
}

function excerpt(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
}
