/** What the protocol allows in one request. */
const MOST_TEXTS = 2_048;
const DISTINCT_VECTORS = 64;
const TOKENS_PER_TEXT = 12;

/** Answers to any number of texts: each is the beginning of the longest one, and an end of its own. */
export class PreparedAnswers {
  #longest = new Map();

  /** @returns {Buffer[]} head, vectors, end */
  of(texts, encoding, dimensions) {
    const key = `${encoding} ${dimensions}`;
    let longest = this.#longest.get(key);
    if (longest === undefined) this.#longest.set(key, (longest = render(encoding, dimensions)));
    const items = longest.bytes.subarray(0, longest.ends[texts - 1]);
    const tokens = texts * TOKENS_PER_TEXT;
    const end = `],"model":"text-embedding-3-small","usage":{"prompt_tokens":${tokens},"total_tokens":${tokens}}}`;
    const length = items.length + end.length;
    const head = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nkeep-alive: timeout=60\r\ncontent-length: ${length}\r\n\r\n`;
    return [Buffer.from(head), items, Buffer.from(end)];
  }
}

function render(encoding, dimensions) {
  const vectors = Array.from({ length: DISTINCT_VECTORS }, (_, seed) => textOf(vectorOf(seed, dimensions), encoding));
  const pieces = [];
  const ends = [];
  let length = 0;
  for (let index = 0; index < MOST_TEXTS; index += 1) {
    const before = index === 0 ? '{"object":"list","data":[' : ',';
    const vector = vectors[index % DISTINCT_VECTORS];
    const piece = Buffer.from(`${before}{"object":"embedding","index":${index},"embedding":${vector}}`);
    pieces.push(piece);
    ends.push((length += piece.length));
  }
  return { bytes: Buffer.concat(pieces), ends };
}

/** Of length 1, as models give them, and the same in every run. */
function vectorOf(seed, dimensions) {
  let state = seed + 1;
  const vector = Float32Array.from({ length: dimensions }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32 - 0.5;
  });
  const norm = Math.hypot(...vector);
  return vector.map((value) => value / norm);
}

/** Numbers have as many digits as OpenAI writes. */
function textOf(vector, encoding) {
  if (encoding === 'base64') return JSON.stringify(Buffer.from(vector.buffer).toString('base64'));
  return `[${Array.from(vector, (value) => Number(value.toPrecision(8))).join(',')}]`;
}
