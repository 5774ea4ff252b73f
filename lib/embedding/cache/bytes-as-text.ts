/**
 * Bytes as text, for stores that write JSON: it passes through whatever serialises, a `Uint8Array` does not, and a Buffer only
 * through some.
 *
 * @internal
 */
export function textOf({ buffer, byteOffset, byteLength }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString('base64');
}

/** The reverse; `undefined` for what is no text. What was no base64 gives bytes that are no vector. @internal */
export function bytesOf(value: unknown): Uint8Array | undefined {
  return typeof value === 'string' ? Buffer.from(value, 'base64') : undefined;
}
