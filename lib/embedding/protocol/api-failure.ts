import { EmbeddingApiError } from '../embedding-errors.js';
import type { EmbeddingFailure, EmbeddingProfile } from '../profiles/profile.js';
import { verdictOn } from './failure-kind.js';
import { type FailureReason, readReason } from './failure-reason.js';
import { quotesAny } from './quotation.js';
import { type AnswerHeaders, retryHints } from './retry-hints.js';

/** An answer with an error status, as it came. @internal */
export interface FailedAnswer {
  readonly status: number;
  readonly headers: AnswerHeaders;
  readonly body: Buffer;
  readonly requestId: string | undefined;
  /** Texts that the request had. */
  readonly inputs: number;
}

/**
 * The error of an answer with an error status: what it means to this kind of server, when to try again, and the server's own
 * words as far as they may be repeated.
 *
 * @param texts those of the request: words that quote one of them are withheld
 * @param redact takes the keys out of a text that were sent to the server
 * @internal
 */
export function readApiFailure(
  answer: FailedAnswer,
  profile: EmbeddingProfile,
  texts: readonly string[],
  redact: (text: string) => string,
  nowEpochMs: () => number,
): EmbeddingApiError {
  const { status, requestId, inputs } = answer;
  const headers = singleValues(answer.headers);
  const reason = readReason(answer.body, headers);
  const failure: EmbeddingFailure = { status, headers, inputs, ...wholeReason(reason) };
  const { kind, parameter } = verdictOn(failure, profile);
  return new EmbeddingApiError({
    status,
    kind,
    requestId,
    apiCode: codeOf(status, reason, texts, redact),
    parameter: wordOf(parameter, texts, redact),
    message: wordsOf(reason.message, texts, redact),
    ...retryHints(headers, reason.message, nowEpochMs()),
  });
}

function wholeReason({
  message,
  type,
  code,
  parameter,
}: FailureReason): Omit<EmbeddingFailure, 'status' | 'headers' | 'inputs'> {
  return { message, type, code, parameter };
}

function singleValues(headers: AnswerHeaders): Readonly<Record<string, string>> {
  const single: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    const first = typeof value === 'object' ? value[0] : value;
    if (first !== undefined) single[name.toLowerCase()] = String(first);
  }
  return single;
}

/** Many repeat the status where their code should be. */
function codeOf(
  status: number,
  { code, type }: FailureReason,
  texts: readonly string[],
  redact: (text: string) => string,
): string | undefined {
  const word = [code, type].find((each) => each !== undefined && each !== String(status));
  return wordOf(word, texts, redact);
}

/** A code is short and without blanks, so only one that is a text, or holds a long piece of one, quotes it. */
function wordOf(
  word: string | undefined,
  texts: readonly string[],
  redact: (text: string) => string,
): string | undefined {
  if (word === undefined || redact(word) !== word || texts.includes(word)) return undefined;
  const long = word.length < 24 ? [] : texts.filter((text) => text.length >= 24);
  return long.length > 0 && quotesAny(word, long) ? undefined : word;
}

/** How much of a server's own words is kept. */
const MAX_MESSAGE = 300;

/** And how much is looked at: a quotation that begins within the kept part has shown enough of itself in as many more. */
const LOOKED_AT = MAX_MESSAGE + 150;

/** Servers like to quote what they were sent. What users embed is theirs and has no business in a log. */
function wordsOf(
  message: string | undefined,
  texts: readonly string[],
  redact: (text: string) => string,
): string | undefined {
  if (message === undefined) return undefined;
  const clean = redact(message).slice(0, LOOKED_AT);
  if (quotesAny(clean, texts)) return '(its reason quotes an input and is withheld)';
  // A line of its own in a log would look like another message.
  const line = clean.replaceAll(/[\s\p{Cc}]+/gu, ' ').trim();
  if (line === '') return undefined;
  return line.length <= MAX_MESSAGE ? line : `${line.slice(0, MAX_MESSAGE - 1).trimEnd()}…`;
}
