import { CONCEPTS, PHRASES } from './concepts.js';

// Held here because a test runner's sandbox looks globals up at each use, and these are used for each character.
const { imul, sqrt } = Math;

/*
 * Weights. A word is the unit of meaning and counts 1; what else is known about it is scaled from there.
 */
const WORD = 1;
/** A shared concept says more than a shared word, which may be chance: it brings a question to the passage that answers it in other words. */
const CONCEPT = 1.7;
const PAIR = 0.3;
/** All pieces of one word together, so that a long word does not outweigh a short one. They catch what the stemmer misses, and typing errors. */
const PIECES = 0.5;
/** Scripts without spaces have no words to count: there, the pieces are the meaning. */
const UNSPACED_PIECE = 0.7;
/** A corpus would teach that some words say little in it (inverse document frequency); we only ever see one text, so they are listed. */
const COMMONPLACE = 0.3;

const STOPWORDS = new Set(
  `a about after all also am an and any are as at be because been before being both but by can could did do does doing done during even
  every few for from had happen happens happened happening has have having he her here him his how i if in into is it its itself just know let
  like ll make makes may me mean might mine more must my need needs no nor not now of off on one only or other our out over own per please
  say see shall she should so some such than that the their them then there these they thing things this those though through to too under until up
  us ve very want was way we well were what when where whether which while who whom whose why will with within without would yes yet you
  your ms const await async import export true false null undefined class function promise string`.split(/\s+/u),
);
const COMMONPLACES = new Set('pool connection upstream nest application app module use'.split(' ').map(stem));

/** The rows of the table of concepts in which a word stands, by number. */
const CONCEPTS_BY_STEM = new Map<string, number[]>();
const ROWS = Object.values(CONCEPTS);
for (const [row, words] of ROWS.entries()) {
  for (const root of new Set(words.split(' ').map(stem))) {
    CONCEPTS_BY_STEM.set(root, [...(CONCEPTS_BY_STEM.get(root) ?? []), row]);
  }
}

/** The scripts that put no space between words. */
const UNSPACED = String.raw`\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}ー`;
const UNSPACED_RUN = new RegExp(`^[${UNSPACED}]`, 'u');
const WORDS = new RegExp(`[${UNSPACED}]+|(?:(?![${UNSPACED}])[\\p{L}\\p{M}\\p{N}])+|\\p{Extended_Pictographic}`, 'gu');
const TOKEN_RUNS = new RegExp(
  `[${UNSPACED}]+|\\p{N}+|(?:(?![${UNSPACED}])[\\p{L}\\p{M}])+|[^\\s\\p{L}\\p{M}\\p{N}]`,
  'gu',
);
/** `maxLifetimeMs` is three words to a reader: a small letter before a capital, or the last capital of a run before a small letter. */
const HUMP = /(?<=[\p{Ll}\p{N}])(?=\p{Lu})|(?<=\p{Lu})(?=\p{Lu}\p{Ll})/gu;

/**
 * Text to vector, computed from the text alone: the signed hashing trick over words, word pairs and pieces of words, and a place for each
 * known concept. A real embedding, if a plain one: texts that share words, forms of words or concepts point the same way, in every run and
 * on every machine.
 *
 * The vector has unit length. Text without a single word still gets a direction of its own, because a client that asked for n vectors
 * must get n that it can compare.
 */
export function vectorize(text: string, dimensions: number): Float32Array {
  const sum = new Float64Array(dimensions);
  const normalised = text.normalize('NFKC');
  for (const [feature, weight] of weigh(readWords(normalised))) addFeature(sum, feature, weight);

  let square = sum.reduce((total, value) => total + value * value, 0);
  if (square === 0) {
    // No word at all, or features that cancelled out, as they may in one or two dimensions: one place, chosen by the text.
    const hash = hash32(normalised);
    sum[hash % dimensions] = hash & 0x80000000 ? -1 : 1;
    square = 1;
  }
  const scale = 1 / sqrt(square);
  return Float32Array.from(sum, (value) => value * scale);
}

/**
 * About how many tokens a model's tokenizer would count: one for an everyday word, one per four letters of a longer one, one per three digits,
 * one per character where words are not spaced, one per punctuation mark. An estimate, in linear time: it decides what is too long to vectorize.
 */
export function countTokens(text: string): number {
  let tokens = 0;
  for (const [run] of text.matchAll(TOKEN_RUNS)) {
    if (UNSPACED_RUN.test(run)) tokens += run.length;
    else if (/^\p{N}/u.test(run)) tokens += Math.ceil(run.length / 3);
    else tokens += run.length <= 6 ? 1 : Math.ceil(run.length / 4);
  }
  return Math.max(tokens, 1);
}

/** The words that matter, in order, in lower case and with known phrases read as one word. */
function readWords(text: string): string[] {
  const words: string[] = [];
  for (const [run] of text.matchAll(WORDS)) {
    const parts = run.split(HUMP);
    for (const part of parts) words.push(part.toLowerCase());
    // The name as a whole too: somebody may ask for "typeorm" or paste the option's name in small letters.
    if (parts.length > 1) words.push(run.toLowerCase());
  }
  const read: string[] = [];
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? '';
    const phrase = PHRASES[`${word} ${words[index + 1] ?? ''}`];
    if (phrase !== undefined) index++;
    const heard = phrase ?? word;
    // A lone letter is a piece of code or of "don't"; alone, a digit may be the answer.
    if (!STOPWORDS.has(heard) && !/^[a-z]$/u.test(heard)) read.push(heard);
  }
  return read;
}

/** Every feature of the words with its weight. A word said nine times counts three times as much as one said once, not nine. */
function* weigh(words: readonly string[]): Generator<[feature: string | number, weight: number]> {
  const stems = new Map<string, number>();
  const concepts = new Map<number, number>();
  const pairs = new Map<string, number>();
  const unspaced = new Map<string, number>();
  let previous: string | undefined;
  for (const word of words) {
    if (UNSPACED_RUN.test(word)) {
      for (const piece of piecesOf(word, 1, 2)) count(unspaced, piece);
      previous = undefined;
      continue;
    }
    const root = stem(word);
    count(stems, root);
    const meant = CONCEPTS_BY_STEM.get(root) ?? [];
    for (const concept of meant) count(concepts, concept, importanceOf(root) / meant.length);
    if (previous !== undefined) count(pairs, `${previous} ${root}`);
    previous = root;
  }
  for (const [root, times] of stems) {
    const weight = sqrt(times) * importanceOf(root);
    yield [`word ${root}`, weight * WORD];
    // What is longer is no word but a blob of base64, and would take seconds.
    const pieces = [...piecesOf(`<${root.slice(0, 40)}>`, 3, 5)];
    for (const piece of pieces) yield [`piece ${piece}`, (weight * PIECES) / sqrt(pieces.length)];
  }
  for (const [concept, times] of concepts) yield [concept, sqrt(times) * CONCEPT];
  for (const [pair, times] of pairs) yield [`pair ${pair}`, sqrt(times) * PAIR];
  for (const [piece, times] of unspaced) yield [`piece ${piece}`, sqrt(times) * UNSPACED_PIECE];
}

/** Every run of `shortest` to `longest` characters inside the word. */
function* piecesOf(word: string, shortest: number, longest: number): Generator<string> {
  for (let size = shortest; size <= longest; size++) {
    for (let start = 0; start + size <= word.length; start++) yield word.slice(start, start + size);
  }
}

/** Light English stemming: "connections", "connected" and "connect" meet, "released" and "release" too. The result need not be a word. */
function stem(word: string): string {
  if (!/^[a-z]{4,30}$/u.test(word)) return word;
  let root = word;
  if (/[^s]ies$/u.test(root) && root.length > 4) root = `${root.slice(0, -3)}y`;
  else if (/(?:ss|sh|ch|x|z)es$/u.test(root)) root = root.slice(0, -2);
  else if (/[^su]s$/u.test(root)) root = root.slice(0, -1);

  if (root.endsWith('ied') && root.length > 4) root = `${root.slice(0, -3)}y`;
  else if (/[aeiouy].*[^e]ed$/u.test(root)) root = root.slice(0, root.length > 4 ? -2 : -1);
  else if (/[aeiouy].*ing$/u.test(root)) root = root.length > 5 ? root.slice(0, -3) : `${root.slice(0, -3)}e`;
  else if (root.endsWith('ly') && root.length > 6) root = root.slice(0, -2);
  else if (/[st]ion$/u.test(root)) root = root.slice(0, -3);

  // "stopped" has lost its ending and keeps one p; "release" and "released" meet without the e.
  root = root.replace(/([bdgmnprt])\1$/u, '$1');
  return root.length > 3 ? root.replace(/e$/u, '') : root;
}

function importanceOf(root: string): number {
  return COMMONPLACES.has(root) ? COMMONPLACE : 1;
}

function count<K>(counts: Map<K, number>, key: K, times = 1): void {
  counts.set(key, (counts.get(key) ?? 0) + times);
}

/**
 * Adds a word, pair or piece where its hash says, a concept in its own place. What is hashed shares places; the concepts, few and heavy, would
 * suffer most from that. Only in a vector too short to give them places of their own are they hashed as well.
 */
function addFeature(sum: Float64Array, feature: string | number, weight: number): void {
  const reserved = sum.length >= 4 * ROWS.length ? ROWS.length : 0;
  if (typeof feature === 'number' && reserved > 0) {
    sum[feature] = (sum[feature] ?? 0) + weight;
    return;
  }
  const hash = hash32(String(feature));
  // Half of the features count downwards, so that what collides cancels out on average instead of adding up.
  const index = reserved + ((hash >>> 1) % (sum.length - reserved));
  sum[index] = (sum[index] ?? 0) + (hash & 1 ? -weight : weight);
}

/** FNV-1a with murmur's finish: FNV alone leaves the bits of short strings too much alike. */
function hash32(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) hash = imul(hash ^ text.charCodeAt(index), 0x01000193);
  hash = imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
