/** The rest of a request's body: the model, the fields, the brackets. @internal */
export const ENVELOPE_BYTES = 1_024;

/**
 * How much a batch may still take. `Infinity`: as much as you like.
 *
 * @internal
 */
export class BatchRoom {
  private inputs = 0;
  private tokens = 0;
  private bytes = ENVELOPE_BYTES;

  constructor(
    private readonly limits: { readonly maxInputs: number; readonly maxTokens: number; readonly maxBytes: number },
  ) {}

  get count(): number {
    return this.inputs;
  }

  /**
   * A first text always fits: it cannot be sent in less than a request of its own.
   *
   * @param bytes as `jsonBytes` has them, without the comma
   */
  fits(tokens: number, bytes: number): boolean {
    if (this.inputs === 0) return true;
    const { maxInputs, maxTokens, maxBytes } = this.limits;
    return this.inputs < maxInputs && this.tokens + tokens <= maxTokens && this.bytes + bytes + 1 <= maxBytes;
  }

  add(tokens: number, bytes: number): void {
    this.inputs += 1;
    this.tokens += tokens;
    this.bytes += bytes + 1;
  }

  reset(): void {
    this.inputs = 0;
    this.tokens = 0;
    this.bytes = ENVELOPE_BYTES;
  }
}
