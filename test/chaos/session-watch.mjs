import { setTimeout as sleep } from 'node:timers/promises';

const EVERY_MS = 50;

/**
 * Counts the sessions that the server has of ours, past the pool and the proxy.
 *
 * What the pool holds can be told from what it has given up and the server has not noticed yet (it looks at a closed socket
 * when it next reads or writes): the proxy knows which clients have left. Only the first is the pool's to bound.
 */
export class SessionWatch {
  samples = 0;
  /** The most at one time, all that the server had. */
  mostAtServer = 0;
  /** The most at one time that the pool held too. */
  mostHeld = 0;
  /** By how many the pool was over its limit at worst, hooks that ran over their time limit allowed for. */
  worstExcess = 0;
  mostOverdue = 0;
  mostHalfOpen = 0;
  #isEnding = false;
  #done;

  constructor({ upstream, proxy, pool, max }) {
    Object.assign(this, { upstream, proxy, pool, max });
    /** Sessions that are none of the pool's connections, and that it says it has. */
    this.besides = upstream.sessionsBesides ?? 0;
    this.#done = this.#run();
  }

  async end() {
    this.#isEnding = true;
    await this.#done;
  }

  async #run() {
    while (!this.#isEnding) {
      await sleep(EVERY_MS);
      await this.#sample();
    }
  }

  async #sample() {
    const [before, overdueBefore] = [this.proxy.serverSidePorts, this.pool.stats().overdue];
    const sessions = await this.upstream.sessions();
    if (sessions === undefined) return; // down
    const [after, overdueAfter] = [this.proxy.serverSidePorts, this.pool.stats().overdue];
    // Held before and after the server counted, so at the time as well.
    const held = sessions.filter((port) => before.has(port) && after.has(port)).length;
    const overdue = Math.max(overdueBefore, overdueAfter);
    this.samples += 1;
    this.mostAtServer = Math.max(this.mostAtServer, sessions.length);
    this.mostHeld = Math.max(this.mostHeld, held);
    this.mostOverdue = Math.max(this.mostOverdue, overdue);
    this.mostHalfOpen = Math.max(this.mostHalfOpen, this.proxy.halfOpen);
    this.worstExcess = Math.max(this.worstExcess, held - this.max - this.besides - overdue);
  }
}
