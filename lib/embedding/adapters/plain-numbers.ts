/**
 * A vector as the frameworks want it. `Array.from` asks an iterator for each number and takes ten times as long.
 *
 * @throws {@link TypeError} where there is none, or one of no length, as for a blank text that the embedder skips
 * @internal
 */
export function plainNumbers(vector: Float32Array | undefined, index = 0): number[] {
  if (vector === undefined || vector.length === 0) {
    throw new TypeError(
      `text ${index} has no vector, and nothing can stand in its place: take onBlank 'error' or 'zero'`,
    );
  }
  const { length } = vector;
  const numbers: number[] = [];
  // Room for all at once: to grow step by step takes three times as long.
  numbers.length = length;
  for (let place = 0; place < length; place += 1) numbers[place] = vector[place]!;
  return numbers;
}

/** @internal */
export function allPlainNumbers(vectors: readonly (Float32Array | undefined)[]): number[][] {
  return vectors.map(plainNumbers);
}
