/** So many characters in a row are a quotation and no coincidence. */
const QUOTE_LENGTH = 24;

/** A text of up to so many characters stands in messages by chance. */
const TOO_SHORT = 3;

/**
 * Every stretch of 24 characters of a text holds one whole piece of 6 that begins at a multiple of 19. So it is enough to
 * look at those, a third of the text, and to look closer where one of them is known.
 */
const PIECE = 6;
const STEP = QUOTE_LENGTH - PIECE + 1;

/**
 * Whether a message quotes one of the texts: 24 characters in a row of it, from anywhere, or a shorter text as a whole. The
 * message may have them as they are or escaped, as JSON and Python write them, more than once.
 *
 * What the message holds is indexed, and the texts are passed over once: 2 048 texts of 30 KB take some tens of milliseconds.
 *
 * @internal
 */
export function quotesAny(message: string, texts: readonly string[]): boolean {
  const forms = formsOf(message);
  const pieces = new Pieces(forms);
  return texts.some((text) => {
    if (text.length >= QUOTE_LENGTH) return pieces.occurIn(text);
    // Blanks around a text are often gone from a quotation of it.
    const whole = text.trim();
    return whole.length > TOO_SHORT && forms.some((form) => form.includes(whole));
  });
}

/** A message as it is, and as it reads with its escapes resolved once, twice, three times. */
function formsOf(message: string): readonly string[] {
  const forms = [message];
  for (let last = message; forms.length < 4;) {
    const next = unescaped(last);
    if (next === last) break;
    forms.push(next);
    last = next;
  }
  return forms;
}

const ESCAPE = /\\(?:u([0-9a-f]{4})|x([0-9a-f]{2})|(.))/gis;
const ESCAPED: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', b: '\b', f: '\f' };

function unescaped(text: string): string {
  return text.replaceAll(ESCAPE, (_all, wide?: string, narrow?: string, letter = '') => {
    const code = wide ?? narrow;
    return code === undefined ? (ESCAPED[letter] ?? letter) : String.fromCharCode(parseInt(code, 16));
  });
}

/**
 * Texts of one repeated character are alike in too many places to look at all of them. After so many the message counts as
 * quoting: withheld for nothing is the smaller harm, and the cost has an end.
 */
const MOST_LOOKS = 300_000;

/** Slots of the table: few enough to stay in the processor's cache, many enough that most pieces of a text find none. */
const SLOTS = 1 << 14;

class Pieces {
  /** By hash: the number of the first place with that hash, plus one. */
  private readonly first = new Uint16Array(SLOTS);
  private looks = 0;
  private readonly places: { readonly form: string; readonly at: number; readonly next: number }[] = [];

  constructor(forms: readonly string[]) {
    for (const form of forms) {
      for (let at = 0; at + PIECE <= form.length; at += 1) {
        const slot = hashAt(form, at);
        this.places.push({ form, at, next: this.first[slot]! });
        this.first[slot] = this.places.length;
      }
    }
  }

  occurIn(text: string): boolean {
    for (let at = 0; at + PIECE <= text.length; at += STEP) {
      const head = this.first[hashAt(text, at)]!;
      if (head !== 0 && this.isQuotedAt(text, at, head)) return true;
    }
    return false;
  }

  private isQuotedAt(text: string, at: number, head: number): boolean {
    for (let number = head; number !== 0;) {
      const place = this.places[number - 1]!;
      const length = alike(text, at, place.form, place.at);
      if (length >= PIECE) this.looks += 1;
      if (length >= QUOTE_LENGTH || this.looks > MOST_LOOKS) return true;
      number = place.next;
    }
    return false;
  }
}

/** For how long the two are alike around these places; 0 if they are not so much as there. */
function alike(text: string, at: number, form: string, place: number): number {
  let length = 0;
  while (
    length < QUOTE_LENGTH &&
    at + length < text.length &&
    text.charCodeAt(at + length) === form.charCodeAt(place + length)
  ) {
    length += 1;
  }
  if (length < PIECE) return 0;
  for (let back = 1; length < QUOTE_LENGTH && back <= at && back <= place; back += 1) {
    if (text.charCodeAt(at - back) !== form.charCodeAt(place - back)) break;
    length += 1;
  }
  return length;
}

function hashAt(text: string, at: number): number {
  let hash = 0;
  for (let index = at; index < at + PIECE; index += 1) hash = (Math.imul(hash, 31) + text.charCodeAt(index)) | 0;
  // The low bits alone would tell little of the first letters.
  return (Math.imul(hash, 0x9e3779b1) >>> 18) & (SLOTS - 1);
}
