/** The numbers in memory of their own, which a part of Node's buffer pool would not be. */
export function float32Of(base64) {
  const vector = new Float32Array(Buffer.byteLength(base64, 'base64') / 4);
  Buffer.from(vector.buffer).write(base64, 'base64');
  return vector;
}
