import { decodeVector } from './vector-codec.js';

/** What is read of an answer of OpenAI's shape, whoever parsed it. @internal */
export interface RawAnswer {
  readonly data?: unknown;
  readonly model?: unknown;
  readonly usage?: unknown;
  readonly error?: unknown;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const ZERO = 0x30;
const NINE = 0x39;
/** Below are the control characters, which JSON allows in no text. */
const SPACE = 0x20;

/** No answer has so many vectors that an index is longer. */
const MAX_DIGITS = 8;

/** Made once: it is thrown for every answer of another layout, and would gather a stack each time. */
const REFUSAL = new Error('not the layout that the scanner knows');

/**
 * Finds the vectors in an answer's bytes, and leaps over them to do so: `JSON.parse` takes several times as long, for it
 * looks at each letter of texts that hold nothing but vectors.
 *
 * It knows one layout: OpenAI's, flat, with base64 and without a single escape. Of an answer that has it, it returns what
 * `JSON.parse` would have returned, as far as anyone reads it, with the vectors decoded. At the first byte that it does not
 * expect it gives up; it never guesses.
 *
 * @returns `undefined` for any other answer, which is for `JSON.parse` to judge
 * @internal
 */
export function scanAnswer(body: Buffer): RawAnswer | undefined {
  try {
    return new AnswerScan(body).answer();
  } catch {
    return undefined;
  }
}

class AnswerScan {
  private at = 0;
  /** Where the last text lies, without its quotes. */
  private start = 0;
  private end = 0;

  constructor(private readonly bytes: Buffer) {}

  answer(): RawAnswer {
    let data: Place[] | undefined;
    const rest: { model?: unknown; usage?: unknown; error?: unknown } = {};
    this.expect(OPEN_OBJECT);
    for (let isFirst = true; this.nextKey(isFirst); isFirst = false) {
      if (this.keyIs('data')) data = once(data, this.places());
      else if (this.keyIs('usage')) rest.usage = once(rest.usage, this.usage());
      else if (this.keyIs('model')) rest.model = once(rest.model, this.primitive());
      else if (this.keyIs('error')) rest.error = once(rest.error, this.none());
      else this.skip();
    }
    this.skipSpace();
    if (data === undefined || this.at !== this.bytes.length) throw REFUSAL;
    // Not before the whole is known to be right: what is given up must not have cost much.
    return { ...rest, data: data.map((place) => this.item(place)) };
  }

  private places(): Place[] {
    const places: Place[] = [];
    this.expect(OPEN_ARRAY);
    if (this.skipSpace() === CLOSE_ARRAY) {
      this.at += 1;
      return places;
    }
    for (;;) {
      places.push(this.place());
      if (this.skipSpace() === CLOSE_ARRAY) break;
      this.expect(COMMA);
    }
    this.at += 1;
    return places;
  }

  private place(): Place {
    let index: number | undefined;
    let start = -1;
    let end = -1;
    this.expect(OPEN_OBJECT);
    for (let isFirst = true; this.nextKey(isFirst); isFirst = false) {
      if (this.keyIs('embedding')) {
        if (start !== -1) throw REFUSAL;
        this.leap();
        start = this.start;
        end = this.end;
      } else if (this.keyIs('index')) {
        index = once(index, this.natural());
      } else {
        this.skip();
      }
    }
    if (start === -1) throw REFUSAL;
    return { index, start, end };
  }

  /** A letter that base64 does not have, escapes and control characters among them, is for `JSON.parse` to judge. */
  private item({ index, start, end }: Place): { readonly index: number | undefined; readonly embedding: Float32Array } {
    const embedding = decodeVector(this.bytes.toString('latin1', start, end));
    if (!(embedding instanceof Float32Array)) throw REFUSAL;
    return { index, embedding };
  }

  private usage(): object | null {
    if (this.skipSpace() !== OPEN_OBJECT) return this.none();
    const usage: { prompt_tokens?: unknown; total_tokens?: unknown } = {};
    this.at += 1;
    for (let isFirst = true; this.nextKey(isFirst); isFirst = false) {
      if (this.keyIs('prompt_tokens')) usage.prompt_tokens = once(usage.prompt_tokens, this.primitive());
      else if (this.keyIs('total_tokens')) usage.total_tokens = once(usage.total_tokens, this.primitive());
      else this.skip();
    }
    return usage;
  }

  /** Steps past the next key of an object and its colon, or past the object's end, where it says `false`. */
  private nextKey(isFirst: boolean): boolean {
    const byte = this.skipSpace();
    if (byte === CLOSE_OBJECT) {
      this.at += 1;
      return false;
    }
    if (!isFirst) this.expect(COMMA);
    this.text();
    const { start, end } = this;
    this.expect(COLON);
    this.start = start;
    this.end = end;
    return true;
  }

  private keyIs(key: string): boolean {
    if (this.end - this.start !== key.length) return false;
    for (let index = 0; index < key.length; index += 1) {
      if (this.bytes[this.start + index] !== key.charCodeAt(index)) return false;
    }
    return true;
  }

  private primitive(): unknown {
    if (this.skipSpace() !== QUOTE) return this.word();
    this.text();
    return this.bytes.toString('utf8', this.start, this.end);
  }

  private none(): null {
    if (this.primitive() !== null) throw REFUSAL;
    return null;
  }

  private skip(): void {
    if (this.skipSpace() === QUOTE) this.text();
    else this.word();
  }

  /** A number, `true`, `false` or `null`; anything else makes `JSON.parse` throw. */
  private word(): unknown {
    const start = this.at;
    while (isOfWord(this.bytes[this.at])) this.at += 1;
    return JSON.parse(this.bytes.toString('latin1', start, this.at)) as unknown;
  }

  private natural(): number {
    this.skipSpace();
    const start = this.at;
    let value = 0;
    for (let byte = this.bytes[start]; byte !== undefined && byte >= ZERO && byte <= NINE; byte = this.bytes[this.at]) {
      value = value * 10 + byte - ZERO;
      this.at += 1;
    }
    const digits = this.at - start;
    if (digits === 0 || digits > MAX_DIGITS || (digits > 1 && this.bytes[start] === ZERO)) throw REFUSAL;
    return value;
  }

  /** A short text, looked at byte by byte. */
  private text(): void {
    this.expect(QUOTE);
    this.start = this.at;
    for (let byte = this.bytes[this.at]; byte !== QUOTE; byte = this.bytes[this.at]) {
      if (byte === undefined || byte < SPACE || byte === BACKSLASH) throw REFUSAL;
      this.at += 1;
    }
    this.end = this.at;
    this.at += 1;
  }

  /** A long text, not looked at: up to the next quote, which is its end unless an escape stands before it. */
  private leap(): void {
    this.expect(QUOTE);
    this.start = this.at;
    this.end = this.bytes.indexOf(QUOTE, this.at);
    if (this.end === -1) throw REFUSAL;
    this.at = this.end + 1;
  }

  private expect(byte: number): void {
    if (this.skipSpace() !== byte) throw REFUSAL;
    this.at += 1;
  }

  /** The next byte that is no white space, which is not stepped past. */
  private skipSpace(): number | undefined {
    let byte = this.bytes[this.at];
    while (byte === SPACE || byte === 0x0a || byte === 0x0d || byte === 0x09) {
      this.at += 1;
      byte = this.bytes[this.at];
    }
    return byte;
  }
}

/** Where an item's vector lies in the bytes. */
interface Place {
  readonly index: number | undefined;
  readonly start: number;
  readonly end: number;
}

/** Of a key that stands twice `JSON.parse` takes the last; nobody means that. */
function once<T>(before: T | undefined, value: T): T {
  if (before !== undefined) throw REFUSAL;
  return value;
}

function isOfWord(byte: number | undefined): boolean {
  if (byte === undefined) return false;
  const letter = byte | 0x20;
  return (
    (letter >= 0x61 && letter <= 0x7a) ||
    (byte >= ZERO && byte <= NINE) ||
    byte === 0x2b ||
    byte === 0x2d ||
    byte === 0x2e
  );
}
