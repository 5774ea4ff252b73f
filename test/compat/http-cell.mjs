import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppProcess } from './app-process.mjs';
import { ask, Load } from './load.mjs';

const CLIENTS = 40;
/** How many clients may be reset that the kernel had connected and the server had not yet accepted when it stopped to listen. */
const IN_LINE_AT_MOST = 4;
const IDLE_CLIENTS = 5;
const WARM_UP = 300;
const GONE_WITHIN_MS = 3_000;
const RECOVERS_WITHIN_MS = 5_000;

/** How an application is ended, and how its process must end then. */
export const ENDINGS = {
  SIGTERM: { signal: 'SIGTERM', exit: { code: null, signal: 'SIGTERM' } },
  'close() thrice': { signal: 'SIGUSR2', exit: { code: 0, signal: null } },
};

/** An application over HTTP, asked as its clients would. */
export class HttpCell {
  constructor(folder, platform) {
    this.app = new AppProcess(folder, 'main', platform);
  }

  async boots() {
    this.url = await this.app.fact('url');
  }

  async leases() {
    assert.deepEqual(await this.#json('/ways'), { byHand: 1, leased: 1 });
    assert.deepEqual(await this.#json('/work'), { held: 1 });
    assert.deepEqual(await this.#json('/request'), { held: 1, joined: 1 });
  }

  /** Health as the pool and its upstream have it, and the filter's answer when there is no connection. */
  async tellsItsHealth(nest) {
    assert.equal((await this.#json('/health/live')).status, 'ok');
    assert.equal((await this.#json('/health/ready')).details.answers.status, 'up');

    await this.#post('exhaust');
    const busy = (await this.#json('/health/ready')).details.answers;
    assert.match(busy.message, /all 4 connections are in use and 1 acquires wait/);
    // Terminus 11 knows no `degraded`.
    const expected = nest === 11 ? ['up', true] : ['degraded', undefined];
    assert.deepEqual([busy.status, busy.degraded], expected);
    await this.#post('let-go');

    await this.#post('down');
    const refused = await ask(`${this.url}/ways`);
    assert.deepEqual([refused.status, refused.headers['retry-after']], [503, '1']);
    assert.equal(JSON.parse(refused.body).error, 'Service Unavailable');
    assert.doesNotMatch(refused.body, /answers|ECONNREFUSED|pool/i);
    assert.equal((await this.#json('/health/ready', 503)).error.answers.status, 'down');
    assert.equal((await this.#json('/health/live')).status, 'ok');

    await this.#post('up');
    // The check itself has the pool try again, and does not wait for it.
    const until = performance.now() + RECOVERS_WITHIN_MS;
    while ((await ask(`${this.url}/health/ready`)).status !== 200) {
      assert.ok(performance.now() < until, 'the pool does not find its upstream again');
      await sleep(10);
    }
  }

  /**
   * Ends the application under load, with clients that keep their connection and ask nothing, and with requests in flight that
   * have not leased yet.
   *
   * @returns the numbers, as text
   */
  async shutsDown({ signal, exit }) {
    const idle = await this.#idleClients();
    const late = ['late', 'latest'].map((path) => ask(`${this.url}/${path}`));
    const load = new Load([`${this.url}/work`, `${this.url}/request`], CLIENTS, WARM_UP);
    await Promise.race([Promise.all([load.enough, this.app.fact('late'), this.app.fact('latest')]), this.app.ended]);
    const before = load.answered;

    const began = performance.now();
    this.app.signal(signal);
    const ended = await this.app.ended;
    const tookMs = Math.round(performance.now() - began);
    await load.ended();
    idle.leave();

    const { text, ...numbers } = this.#count(load, before);
    const story = `${text}; gone after ${tookMs} ms`;
    assert.deepEqual(ended, exit, `it did not end as it should: ${story}`);
    assert.equal(this.app.all('accepted').length, 1, `the server did not close: ${story}`);
    assert.deepEqual(numbers.lost, [], `requests were lost: ${story}`);
    assert.equal(numbers.cut, 0, `the server cut requests off: ${story}`);
    assert.ok(numbers.inLine <= IN_LINE_AT_MOST, `too many clients were reset in line: ${story}`);
    assert.equal(numbers.closed, numbers.opened, `connections were left open: ${story}`);
    assert.ok(tookMs < GONE_WITHIN_MS, `it took too long: ${story}`);
    for (const { status, body, error } of await Promise.all(late)) {
      assert.deepEqual([error, status], [undefined, 200], `what was in flight was not answered: ${story}`);
      assert.equal(JSON.parse(body).state, 'open');
    }
    assert.equal(this.app.all('wrote').length, 1, 'what the consumer wrote in its onModuleDestroy');
    assert.doesNotMatch(this.app.output, /\bERROR\b|Warning/);
    return story;
  }

  /** Whatever was wrong, with all that the application has said. */
  async explain(error) {
    this.app.signal('SIGKILL');
    await this.app.ended;
    return this.app.failure(error.stack).message;
  }

  async #idleClients() {
    const agent = new Agent({ keepAlive: true });
    const asked = await Promise.all(Array.from({ length: IDLE_CLIENTS }, () => ask(`${this.url}/ways`, { agent })));
    assert.deepEqual(new Set(asked.map(({ status }) => status)), new Set([200]));
    // As browsers do that expect to ask soon.
    const { hostname, port } = new URL(this.url);
    const silent = connect(port, hostname).on('error', () => undefined);
    await once(silent, 'connect');
    return {
      leave: () => {
        agent.destroy();
        silent.destroy();
      },
    };
  }

  #count(load, before) {
    const { app } = this;
    const { lost, inLine, refused } = load.judge(app.all('accepted').flat());
    const log = /since the shutdown began (\d+) requests were answered and (\d+) cut off/.exec(app.output);
    const [served, cut] = log === null ? [] : log.slice(1).map(Number);
    const [opened, closed] = [app.all('opened').length, app.all('closed').length];
    const text =
      `answered ${before} before and ${load.answered - before} after, lost ${lost.length}, ` +
      `refused ${refused}, reset in line ${inLine} (the server: ${served} after, ${cut} cut); ` +
      `connections opened ${opened}, closed ${closed}`;
    return { lost: lost.map(({ status, error }) => error?.message ?? status), inLine, cut, opened, closed, text };
  }

  async #json(path, expected = 200) {
    const { status, body, error } = await ask(`${this.url}${path}`);
    assert.deepEqual([error, status], [undefined, expected], `${path}: ${body}`);
    return JSON.parse(body);
  }

  async #post(path) {
    const { status, body } = await ask(`${this.url}/upstream/${path}`, { method: 'POST' });
    assert.equal(status, 201, `${path}: ${body}`);
  }
}
