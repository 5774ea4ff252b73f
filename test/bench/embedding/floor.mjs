import { connect } from 'node:net';
import { collectInChunks, streamInChunks } from './in-flight.mjs';
import { API_KEY, MODEL } from './texts.mjs';

const READ_BYTES = 256 * 1_024;
const HEAD_END = Buffer.from('\r\n\r\n');
const VECTOR_KEY = Buffer.from('"embedding":"');
const QUOTE = 0x22;

/**
 * What the machine can do: sockets that read into memory that is used again and again, and no JSON. It would believe any
 * answer, and is nothing to use.
 *
 * @returns {import('./contenders.mjs').Contender}
 */
export function floor({ baseURL, connections, batchSize = 128 }) {
  const { hostname, port, pathname, host } = new URL(baseURL);
  const idle = Array.from({ length: connections }, () => new Wire(hostname, Number(port)));
  const all = [...idle];
  const waiting = [];
  const head = `POST ${pathname}/embeddings HTTP/1.1\r\nhost: ${host}\r\nauthorization: Bearer ${API_KEY}\r\ncontent-type: application/json\r\ncontent-length: `;
  const embedBatch = async (input) => {
    const wire = idle.pop() ?? (await new Promise((resolve) => waiting.push(resolve)));
    const body = JSON.stringify({ model: MODEL, input, encoding_format: 'base64' });
    try {
      return await wire.ask(`${head}${Buffer.byteLength(body)}\r\n\r\n${body}`);
    } finally {
      const next = waiting.shift();
      if (next === undefined) idle.push(wire);
      else next(wire);
    }
  };
  return {
    embed: async (text) => (await embedBatch([text]))[0],
    embedBatch,
    embedAll: (texts) => collectInChunks(texts, batchSize, connections, embedBatch),
    stream: (texts) => streamInChunks(texts, batchSize, connections, embedBatch),
    close: async () => all.forEach((wire) => wire.close()),
  };
}

class Wire {
  #bytes = Buffer.allocUnsafeSlow(READ_BYTES);
  #filled = 0;
  #wanted = Infinity;
  #resolve;
  #reject;
  #socket;

  constructor(host, port) {
    const onread = { buffer: Buffer.allocUnsafeSlow(READ_BYTES), callback: (count, chunk) => this.#take(chunk, count) };
    this.#socket = connect({ host, port, noDelay: true, onread }).on('error', (error) => this.#reject?.(error));
  }

  ask(request) {
    this.#filled = 0;
    this.#wanted = Infinity;
    this.#socket.write(request);
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  close() {
    this.#socket.destroy();
  }

  #take(chunk, count) {
    if (this.#filled + count > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(this.#bytes.length * 2, this.#filled + count));
      this.#bytes.copy(larger, 0, 0, this.#filled);
      this.#bytes = larger;
    }
    chunk.copy(this.#bytes, this.#filled, 0, count);
    this.#filled += count;
    if (this.#wanted === Infinity) {
      const headEnd = this.#bytes.subarray(0, this.#filled).indexOf(HEAD_END);
      if (headEnd < 0) return;
      const head = this.#bytes.toString('latin1', 0, headEnd);
      this.#wanted = headEnd + HEAD_END.length + Number(/content-length: (\d+)/i.exec(head)[1]);
    }
    if (this.#filled >= this.#wanted) this.#resolve(vectorsIn(this.#bytes.subarray(0, this.#wanted)));
  }
}

function vectorsIn(bytes) {
  const vectors = [];
  for (let at = bytes.indexOf(VECTOR_KEY); at >= 0; at = bytes.indexOf(VECTOR_KEY, at)) {
    const start = at + VECTOR_KEY.length;
    at = bytes.indexOf(QUOTE, start);
    const text = bytes.latin1Slice(start, at);
    const vector = new Float32Array(Buffer.byteLength(text, 'base64') / 4);
    Buffer.from(vector.buffer).write(text, 'base64');
    vectors.push(vector);
  }
  return vectors;
}
