import fc from 'fast-check';
import { ENVELOPE_BYTES } from '../../../lib/embedding/batching/batch-room.js';
import { loadTokenizer } from '../../../lib/embedding/batching/tokenizer.js';
import { vectorOf } from '../../support/embedding-server.js';
import { answerWith, failure, MODEL, numbered, right, startRig } from './rig.js';

const bodyBytes = (body: unknown): number => Buffer.byteLength(JSON.stringify(body));

describe('one list of texts', () => {
  it('goes in as many requests as its count asks for, all at once as far as there are connections', async () => {
    const { server, service, sizes } = await startRig({ connections: 3, batchSize: 50 });
    expect(await service.embedMany(numbered(120))).toEqual(right(numbered(120)));
    expect(sizes().sort((one, other) => other - one)).toEqual([40, 40, 40]);
    expect(server.mostInFlight).toBeLessThanOrEqual(3);
  });

  it('is not spread more thinly than sixteen to a request', async () => {
    const { service, sizes } = await startRig({ connections: 8 });
    await service.embedMany(numbered(32));
    expect(sizes()).toEqual([16, 16]);
  });

  it('has no more tokens in a request than maxBatchTokens, but for a text that has more by itself', async () => {
    const { service, server } = await startRig({ connections: 1, maxBatchTokens: 10, tokens: (text) => text.length });
    const texts = ['aaaa', 'bbbb', 'cccc', 'd'.repeat(30), 'e', 'ffffffffff', 'gg'];
    expect(await service.embedMany(texts)).toEqual(right(texts));
    expect(server.requests.map((request) => request.texts)).toEqual([
      ['aaaa', 'bbbb'],
      ['cccc'],
      ['d'.repeat(30)],
      ['e'],
      ['ffffffffff'],
      ['gg'],
    ]);
  });

  it('has no larger bodies than maxBatchBytes, whatever JSON makes of its texts', async () => {
    const maxBatchBytes = ENVELOPE_BYTES + 300;
    const { service, server } = await startRig({ connections: 1, maxBatchBytes });
    const texts = fc.sample(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 }), { numRuns: 60, seed: 7 });
    texts.push('"'.repeat(100), '\u0001'.repeat(40), 'ü'.repeat(90));
    const wanted = [...new Set(texts)].filter((text) => text.trim() !== '');
    expect(await service.embedMany(wanted)).toEqual(right(wanted));
    for (const { body } of server.requests) expect(bodyBytes(body)).toBeLessThanOrEqual(maxBatchBytes);
    expect(server.requests.length).toBeLessThan(wanted.length / 2);
  });

  it('is estimated by what the server counted before: one that counts a token for each byte gets smaller requests', async () => {
    const { service, server, sizes } = await startRig({ connections: 1, maxBatchTokens: 1_000, cache: false });
    server.script = (request) => answerWith(request, request.texts.join('').length);
    const texts = (name: string): string[] => numbered(60, name.padEnd(98, '.'));
    await service.embedMany(texts('first'));
    const before = sizes().length;
    await service.embedMany(texts('second'));
    const [first, second] = [sizes().slice(0, before), sizes().slice(before)];
    // Some 42 tokens each at first, then up to 101 that the server counts.
    expect(first.slice(0, -1).every((size) => size === 23 || size === 24)).toBe(true);
    expect(Math.max(...second)).toBeLessThanOrEqual(11);
    expect(Math.min(...second.slice(0, -1))).toBeGreaterThanOrEqual(9);
  });

  it('is estimated as before when the server counts what cannot be: three tokens for each byte', async () => {
    const { service, server, sizes } = await startRig({ connections: 1, maxBatchTokens: 1_000, cache: false });
    server.script = (request) => answerWith(request, 3 * request.texts.join('').length);
    await service.embedMany(numbered(60, 'first'.padEnd(98, '.')));
    const before = [...sizes()];
    await service.embedMany(numbered(60, 'later'.padEnd(98, '.')));
    expect(sizes().slice(before.length)).toEqual(before);
  });

  it.each([
    ['413', [413, 'Payload Too Large'] as [number, string]],
    [
      'max_tokens_per_request',
      [400, 'Requested 453357 tokens, max 300000 tokens per request', 'max_tokens_per_request'],
    ],
  ] as [string, [number, string, string?]][])('goes in halves, and these in halves, after %s', async (_what, error) => {
    const { service, server, sizes } = await startRig({ connections: 1 });
    server.script = ({ texts }) => (texts.length > 5 ? { error } : undefined);
    expect(await service.embedMany(numbered(16))).toEqual(right(numbered(16)));
    expect(sizes()).toEqual([16, 8, 4, 4, 8, 4, 4]);
    expect(service.stats()).toMatchObject({ embedded: 16, requests: 4, retries: 0 });
  });

  it('fails by the one text that is too large by itself, and by no other', async () => {
    const { service, server } = await startRig({ connections: 1 });
    server.script = ({ texts }) => (texts.includes('text 3') ? { error: [413, 'Payload Too Large'] } : undefined);
    const outcomes = await service.embedMany(numbered(8), { settle: true });
    expect(outcomes.map(({ ok }) => ok)).toEqual([true, true, true, false, true, true, true, true]);
    expect(outcomes[3]).toMatchObject({ error: { code: 'EMBEDDING_INPUT', problem: 'too-long', index: 3 } });
  });

  it('is counted exactly by gpt-tokenizer where that is asked for', async () => {
    const { service, server } = await startRig({ connections: 1, tokens: 'exact', maxBatchTokens: 8 });
    // Each of these is one token of cl100k_base, and some are far from what their bytes would make of them.
    const texts = [' international', ' a', ' understanding', ' the', ' communications', ' b', ' c', ' d', ' e', ' f'];
    const count = await loadTokenizer(MODEL);
    expect(texts.map((text) => count!(text))).toEqual(texts.map(() => 1));
    await service.embedMany(texts);
    expect(server.requests.map((request) => request.texts.length)).toEqual([8, 2]);
  });

  it('of too many tokens for the model costs no request at all, where tokens are counted exactly', async () => {
    const { service, server } = await startRig({ tokens: (text) => text.length * 100 });
    const error = await failure(service.embedMany(['fine', 'x'.repeat(90), 'also fine', 'fine too']));
    expect(error).toMatchObject({ code: 'EMBEDDING_INPUT', problem: 'too-long', index: 1 });
    await service.embed('another');
    expect(server.texts).toEqual(['another']);
  });

  it('cuts what is too long to what the model takes, with a tokenizer, before it is sent', async () => {
    const { service, server } = await startRig({ tokens: (text) => text.length * 1_000, onTooLong: 'truncate' });
    const long = 'abcdefghijkl';
    expect(await service.embedMany([long, 'short'])).toEqual([vectorOf('abcdefgh'), vectorOf('short')]);
    expect(server.texts).toEqual(['abcdefgh', 'short']);
  });

  it('cuts what the server finds too long, without a tokenizer, and sends nothing as long as before again', async () => {
    const { service, server } = await startRig({ connections: 1, onTooLong: 'truncate' });
    const message = "This model's maximum context length is 8192 tokens";
    // Two bytes to a token.
    server.script = ({ texts }) => (texts.some((text) => text.length > 16_384) ? { error: [400, message] } : undefined);
    const long = 'word '.repeat(4_000);
    const vectors = await service.embedMany(['before', long, 'after', `${long}too`]);
    const [first, , third] = right(['before', long, 'after']);
    expect([vectors[0], vectors[2]]).toEqual([first, third]);
    const cut = server.texts.find((text) => text.startsWith('word') && text.length < 16_384)!;
    expect(vectors[1]).toEqual(vectorOf(cut));
    expect(vectors[3]).toEqual(vectorOf(cut));
    const sent = server.requests.map(({ texts }) => texts.map((text) => `${text.length}${text.slice(-3)}`).join());
    expect(sent).toHaveLength(new Set(sent).size);
  });

  it('keeps no vector of a cut text for the whole text', async () => {
    const { service, server } = await startRig({ tokens: (text) => text.length * 1_000, onTooLong: 'truncate' });
    await service.embed('abcdefghijkl');
    // Neither for its beginning, which is a text of its own.
    await service.embed('abcdefgh');
    await service.embed('abcdefghijkl');
    expect(server.texts).toEqual(['abcdefgh', 'abcdefgh', 'abcdefgh']);
  });

  it('is told which text the server finds too long, where nothing is to be cut', async () => {
    const { service, server } = await startRig({ connections: 1 });
    const message = "This model's maximum context length is 8192 tokens";
    server.script = ({ texts }) => (texts.some((text) => text.length > 5_000) ? { error: [400, message] } : undefined);
    const error = await failure(service.embedMany(['before', 'word '.repeat(4_000), 'after']));
    expect(error).toMatchObject({ code: 'EMBEDDING_INPUT', problem: 'too-long', index: 1, status: 400 });
    expect(error.message).toContain('onTooLong: truncate');
  });
});
