/** A call is this many parts: whole numbers, so that nothing is gained or lost however long it is counted. */
const PARTS = 1_000_000;

/**
 * Allows something for a share of all calls, by count and not by time: what is allowed grows only with what is asked for.
 *
 * @internal
 */
export class CallShare {
  private parts: number;
  private readonly income: number;
  private readonly most: number;

  /**
   * @param share of all calls, from 0 to 1
   * @param burst what is allowed before the first call, and saved up at most
   */
  constructor(share: number, burst: number) {
    this.income = Math.floor(share * PARTS);
    this.parts = burst * PARTS;
    // Without room for one, a share without a burst would allow nothing ever.
    this.most = Math.max(burst, 1) * PARTS;
  }

  /** One more call. */
  onCall(): void {
    this.parts = Math.min(this.most, this.parts + this.income);
  }

  /** Takes one, if one is left. */
  take(): boolean {
    if (this.parts < PARTS) return false;
    this.parts -= PARTS;
    return true;
  }
}
