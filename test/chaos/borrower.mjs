import { BORROWER_PATIENCE_MS } from './limits.mjs';

/** A borrower found what another one had left behind, or got another's answer. */
export class DirtyConnection extends Error {
  name = 'DirtyConnection';
}

/** A borrower ran out of patience, and whatever it had begun goes on without it. */
export class WalkedAway extends Error {
  name = 'WalkedAway';
}

/** One borrower with its lease: what a kind's `borrow` is told. */
export class Borrower {
  hasFailed = false;
  #hasLeft = false;
  #controller = new AbortController();

  constructor(token, random, lease) {
    /** A text of its own, that no other borrower has. */
    this.token = token;
    this.random = random;
    this.lease = lease;
  }

  get connection() {
    return this.lease.connection;
  }

  /** Aborted when it walks away. */
  get signal() {
    return this.#controller.signal;
  }

  /** Works for as long as it has patience. */
  async work(upstream) {
    const work = upstream.borrow(this);
    work.catch(() => undefined); // after it has walked away, nobody listens
    let timer;
    const patience = new Promise((_resolve, reject) => {
      timer = setTimeout(() => reject(new WalkedAway()), BORROWER_PATIENCE_MS);
    });
    try {
      await Promise.race([work, patience]);
    } catch (error) {
      this.hasFailed = true;
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Awaits one step. One that ends after the borrower has left is its last: the connection is somebody else's then. */
  async step(work) {
    const result = await work;
    if (this.#hasLeft) throw new WalkedAway();
    return result;
  }

  /** Begins something and does not wait for it. */
  abandon(work) {
    work.catch(() => undefined);
  }

  expect(is, sentence) {
    if (!is) throw new DirtyConnection(sentence);
  }

  leave() {
    this.#hasLeft = true;
    if (this.hasFailed) this.#controller.abort();
  }
}
