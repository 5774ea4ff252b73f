/** As Node's and axios' are: names in small letters. @internal */
export type AnswerHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

/** What a server says of trying again. @internal */
export interface RetryHints {
  readonly retryAfterMs?: number | undefined;
  /** The server's own verdict, where it gave one. */
  readonly shouldRetry?: boolean | undefined;
}

/**
 * When to try again, and whether at all.
 *
 * The most exact source goes first: `retry-after-ms`, `retry-after`, the message's own words, and last the reset of a limit
 * that is used up. A source that makes no sense is passed over.
 *
 * @internal
 */
export function retryHints(headers: AnswerHeaders, message: string | undefined, nowEpochMs: number): RetryHints {
  const verdict = headerOf(headers, 'x-should-retry')?.toLowerCase();
  return {
    retryAfterMs:
      numberOf(headerOf(headers, 'retry-after-ms')) ??
      retryAfterOf(headerOf(headers, 'retry-after'), nowEpochMs) ??
      waitInWords(message) ??
      resetOfExhausted(rateLimitFacts(headers)),
    shouldRetry: verdict === 'true' ? true : verdict === 'false' ? false : undefined,
  };
}

/** How much of one limit is left. */
interface RateLimitWindow {
  readonly limit: number | undefined;
  readonly remaining: number | undefined;
  /** When it is full again, from now. */
  readonly resetMs: number | undefined;
}

/** @internal */
export interface RateLimitFacts {
  readonly requests?: RateLimitWindow;
  readonly tokens?: RateLimitWindow;
}

/**
 * The limits that an answer tells of. Read from every answer: so nothing is built where there is nothing to read.
 *
 * OpenAI's names are used by Azure, Groq, vLLM's gateways and others (Azure's resets are bare seconds, and it says -1 for what
 * it does not know); Cerebras and Mistral put the window behind them, and Mistral says `req` for requests.
 *
 * @internal
 */
export function rateLimitFacts(headers: AnswerHeaders): RateLimitFacts {
  const requests =
    windowOf(headers, 'x-ratelimit-limit-requests', 'x-ratelimit-remaining-requests', 'x-ratelimit-reset-requests') ??
    windowOf(
      headers,
      'x-ratelimit-limit-requests-minute',
      'x-ratelimit-remaining-requests-minute',
      'x-ratelimit-reset-requests-minute',
    ) ??
    windowOf(
      headers,
      'x-ratelimit-limit-req-minute',
      'x-ratelimit-remaining-req-minute',
      'x-ratelimit-reset-req-minute',
    );
  const tokens =
    windowOf(headers, 'x-ratelimit-limit-tokens', 'x-ratelimit-remaining-tokens', 'x-ratelimit-reset-tokens') ??
    windowOf(
      headers,
      'x-ratelimit-limit-tokens-minute',
      'x-ratelimit-remaining-tokens-minute',
      'x-ratelimit-reset-tokens-minute',
    ) ??
    windowOf(headers, 'ratelimitbysize-limit', 'ratelimitbysize-remaining', 'ratelimitbysize-reset');
  if (requests === undefined && tokens === undefined) return NOTHING;
  return { ...(requests === undefined ? {} : { requests }), ...(tokens === undefined ? {} : { tokens }) };
}

const NOTHING: RateLimitFacts = Object.freeze({});

function windowOf(
  headers: AnswerHeaders,
  limitName: string,
  remainingName: string,
  resetName: string,
): RateLimitWindow | undefined {
  const limit = numberOf(headerOf(headers, limitName));
  const remaining = numberOf(headerOf(headers, remainingName));
  // A reset alone says nothing of how much is left.
  if (limit === undefined && remaining === undefined) return undefined;
  // A limit of 0 would never let anything through: it stands for "not known".
  return { limit: limit === 0 ? undefined : limit, remaining, resetMs: resetOf(headerOf(headers, resetName)) };
}

function resetOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const seconds = numberOf(text);
  if (seconds === undefined) return parseDuration(text);
  // Some gateways say the time of day here, as seconds or milliseconds of the epoch: that is no duration.
  return seconds > MOST_SECONDS ? undefined : seconds * 1_000;
}

const MOST_SECONDS = 366 * 86_400;

function resetOfExhausted({ requests, tokens }: RateLimitFacts): number | undefined {
  const waits = [requests, tokens]
    .filter((window) => window?.remaining === 0)
    .map((window) => window?.resetMs)
    .filter((resetMs) => resetMs !== undefined);
  return waits.length === 0 ? undefined : Math.max(...waits);
}

const HTTP_DATE = /^[a-z]{3,9}, \d\d?[ -][a-z]{3}[ -]\d{2,4} \d\d:\d\d:\d\d gmt$/i;

function retryAfterOf(text: string | undefined, nowEpochMs: number): number | undefined {
  if (text === undefined) return undefined;
  const seconds = numberOf(text);
  if (seconds !== undefined) return seconds * 1_000;
  // `Date.parse` finds a date in almost anything, so the form is looked at first.
  const at = HTTP_DATE.test(text) ? Date.parse(text) : NaN;
  return Number.isFinite(at - nowEpochMs) ? Math.max(0, at - nowEpochMs) : undefined;
}

const WORDS =
  /\b(?:try(?:ing)? again|retry(?:ing)?)(?: (?:in|after))? ((?:\d{1,9}(?:\.\d{1,9})? ?[a-zµ]{1,12},? ?){1,6})/i;

/** "Please try again in 7m12s", "Please retry after 20 seconds". */
function waitInWords(message: string | undefined): number | undefined {
  // It is no part of a long quotation: the first lines hold it.
  const found = message === undefined ? undefined : WORDS.exec(message.slice(0, 2_000))?.[1];
  return found === undefined ? undefined : leadingDuration(found);
}

const UNITS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  millisecond: 1,
  s: 1_000,
  sec: 1_000,
  second: 1_000,
  m: 60_000,
  min: 60_000,
  minute: 60_000,
  h: 3_600_000,
  hour: 3_600_000,
  d: 86_400_000,
  day: 86_400_000,
};

const PART = /(\d{1,9}(?:\.\d{1,9})?) ?([a-zµ]{1,12}),? ?/iy;

/** A duration in words, such as `6m0s`, `12ms` or `20 seconds`, in milliseconds; `undefined` for anything else. @internal */
export function parseDuration(text: string): number | undefined {
  const trimmed = text.trim();
  const { ms, end } = durationAt(trimmed);
  return end === trimmed.length ? ms : undefined;
}

/** The same, of a text that goes on after it. */
function leadingDuration(text: string): number | undefined {
  return durationAt(text).ms;
}

function durationAt(text: string): { readonly ms: number | undefined; readonly end: number } {
  let ms: number | undefined;
  let end = 0;
  for (let parts = 0; parts < 6 && end < text.length; parts += 1) {
    PART.lastIndex = end;
    const part = PART.exec(text);
    const unit = part === null ? undefined : unitOf(part[2]!.toLowerCase());
    if (part === null || unit === undefined) break;
    ms = (ms ?? 0) + Number(part[1]) * unit;
    end = PART.lastIndex;
  }
  return { ms, end };
}

function unitOf(word: string): number | undefined {
  const name = Object.hasOwn(UNITS, word) || !word.endsWith('s') ? word : word.slice(0, -1);
  return Object.hasOwn(UNITS, name) ? UNITS[name] : undefined;
}

function headerOf(headers: AnswerHeaders, name: string): string | undefined {
  const value: unknown = headers[name];
  if (typeof value === 'string') return value.trim();
  return Array.isArray(value) && typeof value[0] === 'string' ? value[0].trim() : undefined;
}

const NUMBER = /^\d{1,15}(?:\.\d{1,9})?$/;

/** Plain numbers only: `Number` would make 0 of an empty text, and Infinity of its own name. */
function numberOf(text: string | undefined): number | undefined {
  return text !== undefined && NUMBER.test(text) ? Number(text) : undefined;
}
