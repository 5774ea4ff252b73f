import { EmbeddingApiError, type EmbeddingFailureKind, EmbeddingUnavailableError } from 'nestjs-pools/embedding';
import { ManualClock } from 'nestjs-pools/testing';
import type { Reply } from '../../support/embedding-server.js';
import { eventually } from '../../support/http-server.js';
import { all, failure, HANG_UP, poolAt, serverOf, serviceOf, SILENCE, tidyUp } from './rig.js';

afterEach(tidyUp);

const QUOTA: Reply = { error: [429, 'You exceeded your current quota', 'insufficient_quota'] };
const DOWN: Reply = { error: [503, 'overloaded'] };
const once: [number, string, string?][] = [
  [402, 'Payment required'],
  [429, 'You exceeded your current quota', 'insufficient_quota'],
  [401, 'Incorrect API key', 'invalid_api_key'],
  [403, 'Forbidden'],
  [404, 'The model does not exist', 'model_not_found'],
  [413, 'Payload too large'],
  [424, 'inference failed'],
  [400, "This model's maximum context length is 8192 tokens"],
  [400, "'$.input' is invalid"],
  [400, 'Unsupported parameter: dimensions'],
  [400, 'no, thank you'],
  [501, 'Not implemented'],
];
const again: [EmbeddingFailureKind, number, string, string?][] = [
  ['rate-limit', 429, 'Rate limit reached', 'rate_limit_exceeded'],
  ['transient', 500, 'oops'],
  ['transient', 502, 'oops'],
  ['transient', 503, 'overloaded'],
  ['transient', 504, 'oops'],
  ['transient', 529, 'overloaded'],
  ['transient', 408, 'too slow'],
  ['transient', 409, 'locked'],
  ['transient', 425, 'too early'],
];

describe('a request that fails', () => {
  it.each(once)('is made once for a single text that is answered %i %s', async (...error) => {
    const server = await serverOf(() => ({ error }));
    const service = serviceOf(poolAt(server.url));
    const failed = await failure(service.embed('a'));
    expect(failed).toMatchObject({ status: error[0] });
    expect(server.requests).toHaveLength(1);
  });

  it.each(again)('is made four times where the answer is of the kind %s (%i)', async (kind, ...error) => {
    const server = await serverOf(() => ({ error, headers: { 'retry-after-ms': '1' } }));
    const service = serviceOf(poolAt(server.url));
    expect(await failure<EmbeddingApiError>(service.embed('a'))).toMatchObject({ kind, status: error[0] });
    expect(server.requests).toHaveLength(4);
    expect(service.stats().retries).toBe(3);
  });

  it.each<[string, Reply]>([
    ['is no JSON', { raw: '<html>' }],
    ['holds an error in place of vectors', { json: { error: { message: 'overloaded' } } }],
    ['does not come', SILENCE],
    ['is a closed connection', HANG_UP],
  ])('is made four times where the answer %s', async (_what, reply) => {
    const server = await serverOf(() => reply);
    const service = serviceOf(poolAt(server.url, { createRetry: { initialMs: 1, maxMs: 1 } }), { headerTimeoutMs: 25 });
    await failure(service.embed('a'));
    expect(server.requests).toHaveLength(4);
  });

  it('is made as often as told, and once without retries', async () => {
    const server = await serverOf(() => DOWN);
    const pool = poolAt(server.url);
    await failure(serviceOf(pool, { retry: { attempts: 2 } }).embed('a'));
    expect(server.requests).toHaveLength(2);
    await failure(serviceOf(pool, { retry: false }).embed('a'));
    expect(server.requests).toHaveLength(3);
  });

  it('is made again or not as the server says, whatever its status means otherwise', async () => {
    const server = await serverOf(() => ({ ...DOWN, headers: { 'x-should-retry': 'false' } }));
    await failure(serviceOf(poolAt(server.url)).embed('a'));
    expect(server.requests).toHaveLength(1);
    server.script = () => ({ error: [400, 'no, thank you'], headers: { 'x-should-retry': 'true' } });
    await failure(serviceOf(poolAt(server.url)).embed('a'));
    expect(server.requests).toHaveLength(5);
  });

  it('is made again at once without the encoding that the server does not know, and so from then on', async () => {
    const server = await serverOf(({ wantsBase64 }) =>
      wantsBase64 ? { error: [400, "'encoding_format' is not supported", 'invalid_request'] } : undefined,
    );
    const service = serviceOf(poolAt(server.url), { retry: false });
    await service.embed('a');
    expect(server.requests.map(({ wantsBase64 }) => wantsBase64)).toEqual([true, false]);
    await service.embed('b');
    expect(server.requests).toHaveLength(3);
    expect(service.stats().endpoints[0]!.asksForBase64).toBe(false);
  });

  it('is halved where it is too large, until it fits', async () => {
    const server = await serverOf(({ texts }) => (texts.length > 2 ? { error: [413, 'too large'] } : undefined));
    const service = serviceOf(poolAt(server.url, { maxConnections: 1 }), { retry: false });
    expect(await service.embedMany(['a', 'b', 'c', 'd'])).toHaveLength(4);
    expect(server.requests.map(({ texts }) => texts.length)).toEqual([4, 2, 2]);
  });

  it('waits as long as the server says, and fails at once where that is longer than it may be', async () => {
    const clock = new ManualClock();
    let hintMs = 5_000;
    const server = await serverOf(({ number }) =>
      number === 1 ? undefined : { ...DOWN, headers: { 'retry-after-ms': String(hintMs) } },
    );
    const pool = poolAt(server.url);
    const service = serviceOf(pool, {}, { clock });
    const vector = service.embed('a');
    while (service.stats().endpoints[0]!.inFlight > 0 || server.requests.length === 0) await clock.advance(0);
    await clock.advance(4_999);
    expect(server.requests).toHaveLength(1);
    await clock.advance(1);
    expect(await vector).toHaveLength(8);
    hintMs = 61_000;
    expect(await failure<EmbeddingApiError>(service.embed('b'))).toMatchObject({ status: 503, retryAfterMs: 61_000 });
    expect(server.requests).toHaveLength(3);
  });
});

describe('a server with nothing left to spend', () => {
  it('is left alone for five minutes: who comes meanwhile is told so at once', async () => {
    const clock = new ManualClock();
    const server = await serverOf(() => QUOTA);
    const service = serviceOf(poolAt(server.url), {}, { clock });
    expect(await failure<EmbeddingApiError>(service.embed('a'))).toMatchObject({ kind: 'quota', retryable: false });
    const turnedAway = await failure<EmbeddingUnavailableError>(service.embed('b'));
    expect(turnedAway).toBeInstanceOf(EmbeddingUnavailableError);
    expect(turnedAway.cause).toBeInstanceOf(EmbeddingApiError);
    const inMs = turnedAway.retryAt.getTime() - Date.now();
    expect(inMs).toBeGreaterThan(290_000);
    expect(inMs).toBeLessThanOrEqual(300_000);
    await clock.advance(299_999);
    expect(await failure(service.embed('b'))).toMatchObject({ code: 'EMBEDDING_UNAVAILABLE' });
    expect(server.requests).toHaveLength(1);
    server.script = undefined;
    await clock.advance(1);
    expect(await service.embed('b')).toHaveLength(8);
    expect(service.stats().endpoints[0]!.state).toBe('closed');
  });

  it('fails a stream too: a quota does not come back by waiting for it', async () => {
    const server = await serverOf(() => QUOTA);
    const service = serviceOf(poolAt(server.url));
    const stream = service.embedStream(['a', 'b']);
    expect(await failure(all(stream))).toMatchObject({ kind: 'quota' });
    expect(server.requests).toHaveLength(1);
  });
});

describe('the budget of retries', () => {
  it('keeps an outage of 200 calls below 1.2 requests for each, and a few to begin with', async () => {
    const server = await serverOf(() => DOWN);
    const service = serviceOf(poolAt(server.url), { breaker: false, batchSize: 1 });
    const calls = Array.from({ length: 200 }, (_none, index) => failure(service.embed(`text ${index}`)));
    for (const error of await Promise.all(calls)) expect(error).toMatchObject({ status: 503 });
    expect(server.requests.length).toBeLessThanOrEqual(1.2 * 200 + 10);
    expect(server.requests.length).toBeGreaterThan(1.1 * 200);
  });

  it('is not needed where the breaker opens: the server is spared what comes after', async () => {
    const server = await serverOf(() => DOWN);
    const service = serviceOf(poolAt(server.url), { batchSize: 1 }, { clock: new ManualClock() });
    const calls = Array.from({ length: 200 }, (_none, index) => failure(service.embed(`text ${index}`)));
    await eventually(() => service.stats().endpoints[0]!.state === 'open', 'the breaker has opened');
    await eventually(() => server.inFlight === 0, 'the server has answered all');
    expect(await failure(service.embed('one more'))).toMatchObject({ code: 'EMBEDDING_UNAVAILABLE' });
    expect(server.requests.length).toBeLessThan(40);
    await service.close();
    await Promise.all(calls);
  });
});
