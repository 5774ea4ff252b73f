/** Embeds a source in chunks, so many at once, and keeps no vector. @returns {Promise<number>} how many there were */
export async function streamInChunks(texts, size, atOnce, embedBatch) {
  const chunks = chunksOf(texts, size);
  let count = 0;
  const worker = async () => {
    for (const chunk of chunks) {
      const vectors = await embedBatch(chunk);
      count += vectors.length;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return count;
}

/** Embeds an array in chunks, so many at once, and keeps all vectors in their order. */
export async function collectInChunks(texts, size, atOnce, embedBatch) {
  const vectors = Array.from({ length: texts.length });
  let next = 0;
  const worker = async () => {
    while (next < texts.length) {
      const from = next;
      next += size;
      const some = await embedBatch(texts.slice(from, from + size));
      for (let index = 0; index < some.length; index += 1) vectors[from + index] = some[index];
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return vectors;
}

/** Several may take from it: it ends for each of them when there is no more. */
function* chunksOf(texts, size) {
  let chunk = [];
  for (const text of texts) {
    chunk.push(text);
    if (chunk.length < size) continue;
    yield chunk;
    chunk = [];
  }
  if (chunk.length > 0) yield chunk;
}
