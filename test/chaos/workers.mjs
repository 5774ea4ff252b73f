import { setTimeout as sleep } from 'node:timers/promises';
import { Borrower, DirtyConnection, WalkedAway } from './borrower.mjs';
import { ACQUIRE_TIMEOUT_MS, BORROWER_PATIENCE_MS, scaled } from './limits.mjs';
import { seeded } from './seeded.mjs';

/** An acquire may be this late where the one process that does everything here is busy. */
const SLACK_MS = scaled(1_500);
/** All of them need to end within this time once they are told to. */
const END_MS = scaled(8_000);

/** The borrowers. Each asks for a connection, works with it, leaves it in some state, and gives it back in some way. */
export class Workers {
  #isEnding = false;
  /** What each is doing, to tell who is stuck where. */
  #doing;
  #all;

  constructor({ pool, upstream, count, seed, tally, recovery }) {
    Object.assign(this, { pool, upstream, tally, recovery });
    this.#doing = Array.from({ length: count }, () => 'starts');
    this.#all = Promise.all(this.#doing.map((_none, worker) => this.#run(worker, seeded(seed + 1_000 + worker))));
  }

  /** Resolves when every worker has ended; the tally is told of those that cannot. */
  async end() {
    this.#isEnding = true;
    const late = sleep(END_MS, 'late', { ref: false });
    if ((await Promise.race([this.#all, late])) !== 'late') return;
    this.#doing.forEach((what, worker) => {
      if (what !== 'ended') this.tally.breach(`worker ${worker} never came to an end: it ${what}`);
    });
  }

  async #run(worker, random) {
    for (let round = 0; !this.#isEnding; round += 1) {
      const hasSucceeded = await this.#round(worker, `w${worker}r${round}`, random);
      this.#doing[worker] = 'rests';
      await sleep(hasSucceeded ? random.between(0, 10) : random.between(20, 100));
    }
    this.#doing[worker] = 'ended';
  }

  async #round(worker, token, random) {
    const beganAt = performance.now();
    if (this.upstream.direct !== undefined && random.chance(0.1)) return this.#direct(worker, token, random, beganAt);
    this.#doing[worker] = 'waits for a lease';
    const lease = await this.#acquire(random);
    if (lease === undefined) return false;
    this.#doing[worker] = 'works';
    const borrower = new Borrower(token, random, lease);
    try {
      await borrower.work(this.upstream);
      return this.#succeeded(worker, beganAt);
    } catch (error) {
      if (error instanceof DirtyConnection) this.tally.breach(error.message);
      this.tally.failure('work', error);
      return false;
    } finally {
      this.#giveBack(lease, borrower, random);
    }
  }

  /** By the pool's own short cuts, which are told when the caller walks away and are to end then by themselves. */
  async #direct(worker, token, random, beganAt) {
    this.#doing[worker] = 'waits for a short cut of the pool';
    try {
      const signal = AbortSignal.timeout(random.chance(0.1) ? random.between(1, 40) : BORROWER_PATIENCE_MS);
      if (!(await this.upstream.direct(this.pool, token, random, signal)))
        throw new DirtyConnection("a caller got another's answer");
      return this.#succeeded(worker, beganAt);
    } catch (error) {
      if (error instanceof DirtyConnection) this.tally.breach(error.message);
      this.tally.failure('short cut', error);
      return false;
    }
  }

  #succeeded(worker, beganAt) {
    const now = performance.now();
    this.tally.success(now - beganAt);
    this.recovery.success(worker, beganAt, now);
    return true;
  }

  async #acquire(random) {
    const askedAt = performance.now();
    const signal = random.chance(0.02) ? AbortSignal.timeout(random.between(1, 30)) : undefined;
    try {
      return await this.pool.acquire(signal && { signal });
    } catch (error) {
      this.tally.failure('acquire', error);
      return undefined;
    } finally {
      const tookMs = performance.now() - askedAt;
      if (tookMs > ACQUIRE_TIMEOUT_MS + SLACK_MS) {
        this.tally.breach(
          `an acquire settled after ${Math.round(tookMs / 1_000)} s, its deadline was ${ACQUIRE_TIMEOUT_MS} ms`,
        );
      }
    }
  }

  /** Mostly as one should; some leave it to the pool to find out that the connection is no good. */
  #giveBack(lease, borrower, random) {
    borrower.leave();
    if (random.chance(borrower.hasFailed ? 0.3 : 0.005)) lease.destroy(new WalkedAway());
    else lease.release();
    if (random.chance(0.01)) lease.release();
  }
}
