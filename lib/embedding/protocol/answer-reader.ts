import { EmbeddingResponseError, EmbeddingVectorError } from '../embedding-errors.js';
import type { EmbeddingAnswerItem, EmbeddingAnswerShape, EmbeddingProfile } from '../profiles/profile.js';
import { type RawAnswer, scanAnswer } from './answer-scanner.js';
import { decodeVector, flawOf, type VectorFlaw, wrongLength } from './vector-codec.js';

/** @internal */
export interface EmbeddingAnswer {
  /** One for each text, in the order of the texts. */
  readonly vectors: readonly (Float32Array | EmbeddingVectorError)[];
  /** As the server counted them. */
  readonly tokens: number | undefined;
  /** As the server calls it. */
  readonly model: string | undefined;
}

/** What is known of an answer before it is read. @internal */
export interface AnswerExpectation {
  /** How many texts were sent. */
  readonly count: number;
  /** How long each vector must be, where that is known. */
  readonly dimensions: number | undefined;
  readonly requestId: string | undefined;
  /** For an answer of another shape than OpenAI's. */
  readonly read?: EmbeddingProfile['read'];
}

/**
 * The vectors of an answer, in the order of the texts. One that cannot be right has an error in its place and leaves the
 * others alone.
 *
 * @throws {@link EmbeddingResponseError} when it cannot be told which vector is whose, or it is no answer at all
 * @internal
 */
export function readAnswer(body: Buffer, expectation: AnswerExpectation): EmbeddingAnswer {
  return readItems(partsOf(body, expectation), expectation);
}

/** An answer's parts, as somebody found them; what tokens and model are is not looked at yet. @internal */
export interface AnswerParts {
  readonly items: readonly EmbeddingAnswerItem[];
  readonly tokens?: unknown;
  readonly model?: unknown;
}

/**
 * The same for what is no JSON, or not any more.
 *
 * @throws {@link EmbeddingResponseError} when it cannot be told which vector is whose
 * @internal
 */
export function readItems({ items, tokens, model }: AnswerParts, expectation: AnswerExpectation): EmbeddingAnswer {
  const { count, dimensions, requestId } = expectation;
  if (items.length !== count) {
    throw new EmbeddingResponseError(`${items.length} vectors came back for ${count} texts`, 'mismatch', requestId);
  }
  const hasIndexes = haveIndexes(items, requestId);
  const vectors: (Float32Array | VectorFlaw)[] = Array.from({ length: count });
  for (let position = 0; position < count; position += 1) {
    const { index, embedding } = items[position]!;
    const vector = decodeVector(embedding);
    const flaw = vector instanceof Float32Array ? flawOf(vector, dimensions) : undefined;
    vectors[hasIndexes ? (index as number) : position] = flaw ?? vector;
  }
  if (dimensions === undefined) agreeOnLength(vectors);
  return {
    vectors: vectors.map((vector) => (vector instanceof Float32Array ? vector : errorOf(vector, requestId))),
    tokens: typeof tokens === 'number' && Number.isFinite(tokens) && tokens >= 0 ? tokens : undefined,
    model: typeof model === 'string' ? model : undefined,
  };
}

function errorOf({ problem, description }: VectorFlaw, requestId: string | undefined): EmbeddingVectorError {
  return new EmbeddingVectorError(problem, description, requestId);
}

function partsOf(body: Buffer, { read, requestId }: AnswerExpectation): AnswerParts {
  if (read !== undefined) return partsByProfile(parse(body, requestId), read, requestId);
  const answer = scanAnswer(body) ?? parse(body, requestId);
  refuseError(answer, requestId);
  const { data, usage, model } = fieldsOf(answer) as RawAnswer;
  if (!areItems(data)) throw new EmbeddingResponseError(noItems(data), 'unreadable', requestId);
  const { prompt_tokens: prompt, total_tokens: total } = fieldsOf(usage);
  return { items: data, tokens: prompt ?? total, model };
}

function partsByProfile(
  answer: unknown,
  read: (answer: unknown) => EmbeddingAnswerShape,
  requestId: string | undefined,
): AnswerParts {
  refuseError(answer, requestId);
  let shape: Record<string, unknown>;
  try {
    shape = fieldsOf(read(answer));
  } catch (error) {
    if (error instanceof EmbeddingResponseError) {
      throw new EmbeddingResponseError(error.problem, error.reason, requestId);
    }
    // Of another error nothing but its kind is told: its message may quote the answer.
    throw new EmbeddingResponseError(`the profile cannot read it (${kindOf(error)})`, 'unreadable', requestId);
  }
  const { items, tokens, model } = shape;
  if (!areItems(items))
    throw new EmbeddingResponseError(`as the profile reads it, ${noItems(items)}`, 'unreadable', requestId);
  return { items, tokens, model };
}

function parse(body: Buffer, requestId: string | undefined): unknown {
  try {
    return JSON.parse(body.toString('utf8')) as unknown;
  } catch {
    throw new EmbeddingResponseError('it is no JSON', 'unreadable', requestId);
  }
}

/** Some servers and gateways send their errors with a status of 200. Their words may quote a text, their codes do not. */
function refuseError(answer: unknown, requestId: string | undefined): void {
  const { error, code: outerCode, error_type: outerType } = fieldsOf(answer);
  if (error === undefined || error === null || error === false || error === '') return;
  const { code, type } = fieldsOf(error);
  const name = [code, type, outerCode, outerType].find(isCode);
  const named = name === undefined ? '' : ` (${name})`;
  throw new EmbeddingResponseError(`it holds an error in place of vectors${named}`, 'error', requestId);
}

/** A number or a single word; neither a sentence nor a key is one. */
function isCode(value: unknown): value is string | number {
  return typeof value === 'number' || (typeof value === 'string' && /^\w{1,48}$/.test(value));
}

function areItems(list: unknown): list is readonly EmbeddingAnswerItem[] {
  return Array.isArray(list) && list.every((item) => typeof item === 'object' && item !== null);
}

function noItems(list: unknown): string {
  return Array.isArray(list) ? 'its list holds something that is no vector' : 'it holds no list of vectors';
}

/**
 * Whether the items say which text each belongs to: either all do, and together they name every text once, or none does and
 * their order counts. `null` says nothing.
 */
function haveIndexes(items: readonly EmbeddingAnswerItem[], requestId: string | undefined): boolean {
  const isNamed = new Uint8Array(items.length);
  let named = 0;
  let silent = 0;
  for (const { index } of items) {
    if (index === undefined || index === null) silent += 1;
    else if (typeof index === 'number' && isNamed[index] === 0) {
      isNamed[index] = 1;
      named += 1;
    }
  }
  if (silent === items.length) return false;
  if (named !== items.length)
    throw new EmbeddingResponseError('its indexes do not name every text once', 'mismatch', requestId);
  return true;
}

/**
 * Vectors of one model are of one length. Where it is not known which, more than half of them must have it. The first
 * one's would be a guess: it may be the one that is wrong.
 */
function agreeOnLength(vectors: (Float32Array | VectorFlaw)[]): void {
  const counts = new Map<number, number>();
  let sound = 0;
  for (const vector of vectors) {
    if (!(vector instanceof Float32Array)) continue;
    sound += 1;
    counts.set(vector.length, (counts.get(vector.length) ?? 0) + 1);
  }
  if (counts.size <= 1) return;
  const usual = [...counts.keys()].find((length) => counts.get(length)! * 2 > sound);
  const lengths = [...counts.keys()].toSorted((a, b) => a - b).join(', ');
  for (const [place, vector] of vectors.entries()) {
    if (!(vector instanceof Float32Array) || vector.length === usual) continue;
    vectors[place] =
      usual === undefined
        ? {
            problem: 'dimensions',
            description: `there are vectors of ${lengths} dimensions, and which is right cannot be told`,
          }
        : wrongLength(vector, usual);
  }
}

function fieldsOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function kindOf(error: unknown): string {
  return error instanceof Error ? error.name : typeof error;
}
