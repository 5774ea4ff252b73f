import { setTimeout as sleep } from 'node:timers/promises';

/** How long each lasts, at least and at most. Cuts and resets are over soon; the rest is felt for a while. */
const NETWORK = {
  latency: [200, 1_000],
  stall: [200, 1_200],
  reset: [50, 600],
  'half-open': [50, 1_000],
  cut: [50, 400],
};
const KILL_EVERY_MS = 100;

/** All that goes wrong: one fault of the network or a restart at a time, each followed by a time to recover, and kills throughout. */
export class Faults {
  kills = 0;
  restarts = 0;
  #isEnding = false;
  /** The modes are dealt like cards, so that none is left out. */
  #deck = [];
  #unseen = new Set(Object.keys(NETWORK));

  constructor({ upstream, proxy, random, recovery, seconds }) {
    Object.assign(this, { upstream, proxy, random, recovery });
    const began = performance.now();
    /** Restarts that are still to come: politely after a third, by SIGKILL after two. */
    this.restartsDue = ['stop', 'kill'].map((how, index) => ({ how, at: began + ((index + 1) * seconds * 1_000) / 3 }));
    this.endsAt = began + seconds * 1_000;
  }

  /** For its time, and until each fault has come once. */
  async run() {
    const killing = this.#kill();
    while (performance.now() < this.endsAt || this.restartsDue.length > 0 || this.#unseen.size > 0) {
      await sleep(this.random.between(100, 500));
      const fault = this.#nextRestart() ?? (await this.#network());
      await fault.over;
      await this.recovery.after(fault.name);
    }
    this.#isEnding = true;
    await killing;
  }

  #nextRestart() {
    const [restart] = this.restartsDue;
    if (restart === undefined || performance.now() < restart.at) return undefined;
    this.restartsDue.shift();
    this.restarts += 1;
    return { name: `restart (${restart.how})`, over: this.upstream.restart(restart.how) };
  }

  async #network() {
    if (this.#deck.length === 0) this.#deck = this.random.shuffled(Object.keys(NETWORK));
    const mode = this.#deck.shift();
    this.#unseen.delete(mode);
    this.proxy.latencyMs = this.random.between(10, 80);
    this.proxy.mode = mode;
    await sleep(this.random.between(...NETWORK[mode]));
    this.proxy.mode = 'ok';
    return { name: mode };
  }

  async #kill() {
    while (!this.#isEnding) {
      await sleep(KILL_EVERY_MS);
      if (await this.upstream.kill(this.random)) this.kills += 1;
    }
  }
}
