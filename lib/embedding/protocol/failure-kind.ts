import type { EmbeddingFailureKind } from '../embedding-errors.js';
import type { EmbeddingFailure, EmbeddingProfile } from '../profiles/profile.js';

const QUOTA = new Set(['insufficient_quota', 'credit_balance_exhausted', 'billing_hard_limit_reached']);

/** A request that is refused for its size, while each of its texts might pass. */
const TOO_MUCH =
  /max(?:imum)?_tokens_per_request|tokens per request|too many (?:tokens|inputs|texts|items)|tokens per (?:submitted )?batch|tokens in (?:the )?batch|batch size|can be in one batch|texts must be at most|at most \d+ items|array too (?:long|large)|maximum length \d+|largest allowed size|payload (?:size|too)|requested \d+ tokens, max \d+/i;

/** The model's own limit, which is one text's. llama.cpp speaks of a batch, and means the tokens of one text. */
const CONTEXT = /context[ _](?:length|window)|too large to process/i;

const TOO_LONG =
  /too many input tokens|must have less than \d+|maximum input length|too long|cannot exceed \d+ tokens|longer than the max|exceeds? the (?:model|max)|maxLength/i;

const BAD_INPUT =
  /\$\.input|\binputs?\b.{0,40}\b(?:invalid|empty|blank|must)|(?:invalid|empty|blank)\b.{0,20}\b(?:input|string|text)|cannot be empty|content.?(?:filter|policy)/i;

const NOT_KNOWN =
  /unsupported ?param|(?:unknown|unsupported|unrecognized|unexpected|extra|additional) (?:request |keyword )?(?:fields?|param\w*|arguments?|keys?|inputs?|properties|name)|not (?:currently )?(?:supported|permitted|allowed)|does not support|extra_forbidden/i;

const NO_MODEL = /\bmodel\b.{0,80}(?:not found|not exist|not loaded|is not available)|unknown model|invalid model/i;

/** Fields of ours that servers refuse, and what OpenAI calls them. */
const FIELDS: readonly (readonly [RegExp, string])[] = [
  [/\bencoding_(?:format|type)\b|\bembedding_types?\b/, 'encoding_format'],
  [/\boutput_dimensions?\b|\boutput_dimensionality\b/, 'dimensions'],
  [/\binput_type\b/, 'input_type'],
  [/\btruncate_prompt_tokens\b/, 'truncate'],
];

/** The same, by words that stand in other sentences too. */
const COMMON_FIELDS: readonly (readonly [RegExp, string])[] = [
  [/\bdimensions?\b|\bmatryoshka\b/i, 'dimensions'],
  [/\btruncat(?:e|ion)\b/i, 'truncate'],
  [/\btask\b/i, 'input_type'],
];

const INPUTS = /^(?:\$\.)?(?:inputs?|texts|inputText|prompt)\b/;

/** What an error means, and for `unsupported` which field it is about. @internal */
export interface FailureVerdict {
  readonly kind: EmbeddingFailureKind;
  readonly parameter?: string | undefined;
}

/**
 * What an error means: what the profile says, or else what it means to most servers. There the status says it, and where the
 * request is not to the server's liking, its words do.
 *
 * @internal
 */
export function verdictOn(failure: EmbeddingFailure, profile: EmbeddingProfile): FailureVerdict {
  const kind = profile.classify?.(failure);
  const verdict =
    kind === undefined ? (byStatus(failure) ?? byWords(failure)) : { kind, ...refusedField(kind, failure) };
  // One text that is too large for a request is too long: there is nothing to split.
  return verdict.kind === 'splittable' && failure.inputs <= 1 ? { kind: 'too-long' } : verdict;
}

function refusedField(kind: EmbeddingFailureKind, failure: EmbeddingFailure): { parameter?: string | undefined } {
  if (kind !== 'unsupported') return {};
  const words = wordsOf(failure);
  return { parameter: fieldOf(failure.parameter, words, true) ?? failure.parameter ?? quotedName(words) };
}

function byStatus({ status, type, code, message = '' }: EmbeddingFailure): FailureVerdict | undefined {
  // Some answer 403 or 400 to an empty account.
  if (status === 402 || QUOTA.has(code ?? '') || QUOTA.has(type ?? '')) return { kind: 'quota' };
  if (status === 401 || status === 403 || code === 'invalid_api_key') return { kind: 'auth' };
  if (status === 404 || status === 405 || status === 410 || status < 400) return { kind: 'config' };
  if (status === 413) return { kind: 'splittable' };
  if (status === 424) return { kind: 'poisoned' };
  if (status === 429) return { kind: 'rate-limit' };
  if (status === 501) return { kind: 'refused' };
  // llama.cpp answers 500 to a text beyond its batch, now and always.
  if (status === 500 && /too large to process/i.test(headOf(message))) return { kind: 'too-long' };
  return status >= 500 || status === 408 || status === 409 || status === 425 ? { kind: 'transient' } : undefined;
}

/** 400, 422 and their like. */
function byWords(failure: EmbeddingFailure): FailureVerdict {
  const { status, code, parameter } = failure;
  const words = wordsOf(failure);
  if (code === 'model_not_found' || NO_MODEL.test(words)) return { kind: 'config' };
  // Before the names of fields and the words for sizes: it may advise to set or to lower them.
  if (code === 'context_length_exceeded' || CONTEXT.test(words)) return { kind: 'too-long' };
  const isAboutInputs = parameter !== undefined && INPUTS.test(parameter);
  const field = isAboutInputs ? undefined : fieldOf(parameter, words, NOT_KNOWN.test(words));
  if (field !== undefined) return { kind: 'unsupported', parameter: field };
  if (TOO_MUCH.test(words)) return { kind: 'splittable' };
  if (TOO_LONG.test(words)) return { kind: 'too-long' };
  if (isAboutInputs || BAD_INPUT.test(words)) return { kind: 'input' };
  if (NOT_KNOWN.test(words)) return { kind: 'unsupported', parameter: parameter ?? quotedName(words) };
  return { kind: status === 422 && parameter === undefined ? 'input' : 'refused' };
}

function fieldOf(parameter: string | undefined, words: string, isRefused: boolean): string | undefined {
  if (parameter !== undefined && parameter !== 'model') {
    const named = [...FIELDS, ...COMMON_FIELDS].find(([pattern]) => pattern.test(parameter));
    if (named !== undefined) return named[1];
  }
  const found = FIELDS.find(([pattern]) => pattern.test(words));
  if (found !== undefined) return found[1];
  return isRefused ? COMMON_FIELDS.find(([pattern]) => pattern.test(words))?.[1] : undefined;
}

/** As in "unknown field `user`". */
function quotedName(words: string): string | undefined {
  return (
    /["'`]([a-z][a-z_]{1,40})["'`]/.exec(words)?.[1] ??
    /\b(?:field|parameter|argument):? ([a-z]+_[a-z_]{1,40})\b/.exec(words)?.[1]
  );
}

function wordsOf({ code = '', type = '', message = '' }: EmbeddingFailure): string {
  return headOf(`${code} ${type} ${message}`);
}

/** What a server has to say it says at once; what follows may be a text that it quotes. */
function headOf(message: string): string {
  return message.slice(0, 600);
}
