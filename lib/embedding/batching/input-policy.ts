import { shapeOf } from '../../core/option-rules.js';
import { EmbeddingInputError } from '../embedding-errors.js';
import type { CountTokens } from './tokenizer.js';

/** After so many counts a cut is near enough; each costs a millisecond for a thousand tokens. */
const MOST_COUNTS = 8;

/** As of Node 20; TypeScript knows them from es2024 on. */
interface WellFormed {
  isWellFormed(): boolean;
  toWellFormed(): string;
}

/** What is wrong with a text before it is sent, if anything is. @internal */
export function checkText(text: unknown, index: number): EmbeddingInputError | undefined {
  if (typeof text !== 'string') {
    return new EmbeddingInputError(index, 'type', `expected a text, got ${shapeOf(text)}`);
  }
  if (!isBlank(text)) return undefined;
  return new EmbeddingInputError(
    index,
    'blank',
    'expected a text, got only white space: servers refuse that, so leave it out',
  );
}

/** Whether there is nothing but white space. Looks no further than the first sign that is not, and copies nothing. @internal */
export function isBlank(text: string): boolean {
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 32 || (code >= 9 && code <= 13)) continue;
    // The rare ones beyond ASCII are left to `trim`, one at a time.
    if (code < 128 || text.charAt(at).trim() !== '') return false;
  }
  return true;
}

/**
 * The text with U+FFFD in place of every half of a surrogate pair. JSON would write such a half as an escape, which many
 * servers refuse, and the whole batch with it.
 *
 * @internal
 */
export function wellFormed(text: string): string {
  const checked = text as string & WellFormed;
  return checked.isWellFormed() ? text : checked.toWellFormed();
}

/**
 * The beginning of a text that has `maxTokens` at most; the text itself where it has no more. Never ends in half a sign, and
 * is empty where not even the first one fits.
 *
 * @param maxTokens a whole number from 1
 * @param count without it a byte counts as a token, which is safe and cuts most texts to a quarter of what would do
 * @internal
 */
export function truncateTo(text: string, maxTokens: number, count?: CountTokens): string {
  if (count === undefined) return beginningOf(text, bytesEnd(text, maxTokens));
  let tooMany = count(text);
  if (tooMany <= maxTokens) return text;
  let fits = 0;
  let fitting = '';
  let tooLong = text.length;
  for (let left = MOST_COUNTS; left > 0 && tooLong - fits > 1; left -= 1) {
    // By proportion first, a little less than that; then halfway, for tokens may be of very different lengths.
    const guess =
      left === MOST_COUNTS ? Math.floor(((tooLong * maxTokens) / tooMany) * 0.98) : Math.floor((fits + tooLong) / 2);
    const end = Math.min(Math.max(guess, fits + 1), tooLong - 1);
    const beginning = beginningOf(text, end);
    const tokens = count(beginning);
    if (tokens <= maxTokens) {
      fits = end;
      fitting = beginning;
    } else {
      tooLong = end;
      tooMany = tokens;
    }
  }
  // No beginning was short enough in so few counts: one by bytes is.
  return fitting === '' ? beginningOf(text, bytesEnd(text, maxTokens)) : fitting;
}

/** Where the beginning ends that has so many bytes of UTF-8 at most. */
function bytesEnd(text: string, maxBytes: number): number {
  let bytes = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    // Three for half a pair, which has two: it may be alone, and becomes U+FFFD then.
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : 3;
    if (bytes > maxBytes) return at;
  }
  return text.length;
}

function beginningOf(text: string, end: number): string {
  const last = text.charCodeAt(end - 1);
  const next = text.charCodeAt(end);
  const isInPair = last >= 0xd800 && last <= 0xdbff && next >= 0xdc00 && next <= 0xdfff;
  return text.slice(0, isInPair ? end - 1 : end);
}
