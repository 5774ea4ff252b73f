import fc from 'fast-check';
import { TokenEstimate } from '../../../lib/embedding/batching/token-estimate.js';
import { loadTokenizer, tokenizerLoader } from '../../../lib/embedding/batching/tokenizer.js';

describe('TokenEstimate', () => {
  it('takes two and a half bytes for a token until it knows better', () => {
    const estimate = new TokenEstimate();
    expect([0, 1, 10, 11].map((bytes) => estimate.estimate(bytes))).toEqual([1, 1, 4, 5]);
  });

  it('comes to what the server counts, whether that is less or more', () => {
    for (const bytesPerToken of [4.5, 1.4]) {
      const estimate = new TokenEstimate();
      for (let request = 0; request < 100; request += 1) estimate.learn(9_000, 9_000 / bytesPerToken);
      expect(estimate.estimate(9_000) * bytesPerToken).toBeGreaterThan(8_900);
      expect(estimate.estimate(9_000) * bytesPerToken).toBeLessThan(9_100);
    }
  });

  it('rises faster than it falls: too low an estimate is the one that fails', () => {
    const [up, down] = [new TokenEstimate(), new TokenEstimate()];
    up.learn(10_000, 8_000);
    down.learn(10_000, 2_000);
    expect(up.factor - 1).toBeGreaterThan(2 * (1 - down.factor));
  });

  it('learns little from a short text, which is half made of marks of the server', () => {
    const estimate = new TokenEstimate();
    estimate.learn(5, 3);
    expect(estimate.factor).toBeLessThan(1.01);
  });

  it.each([
    [1_000, Number.NaN],
    [Number.NaN, 400],
    [1_000, 0],
    [0, 400],
    [0, 0],
    [1_000, -400],
    [-1_000, -400],
    [1_000, Infinity],
    [Infinity, 400],
    [1_000, 1],
    [1_000, 1_000_000],
  ])('learns nothing from %d bytes that are said to have %d tokens', (bytes, tokens) => {
    const estimate = new TokenEstimate();
    estimate.learn(bytes, tokens);
    expect(estimate.factor).toBe(1);
  });

  it('never says less than one token or more tokens than bytes, whatever it was told', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.double(), fc.double())), fc.integer({ min: 1, max: 1e9 }), (told, bytes) => {
        const estimate = new TokenEstimate();
        for (const [seen, actual] of told) estimate.learn(seen, actual);
        const tokens = estimate.estimate(bytes);
        expect(Number.isInteger(tokens) && tokens >= 1 && tokens <= bytes).toBe(true);
      }),
    );
  });
});

describe('loadTokenizer', () => {
  const counting = async (): Promise<{ countTokens: (text: string) => number }> => ({
    countTokens: (text) => text.length,
  });

  it('counts as the models of OpenAI do, and takes their special signs for text', async () => {
    const count = await loadTokenizer('text-embedding-3-small');
    expect(count?.('hello world')).toBe(2);
    expect(count?.('<|endoftext|>')).toBeGreaterThan(1);
  });

  it('knows a model with the name of its vendor in front, as gateways have it', async () => {
    expect(await tokenizerLoader(counting)('openai/text-embedding-ada-002')).toBeInstanceOf(Function);
  });

  it('has nothing for a model whose tokens it does not know, and loads nothing for it', async () => {
    let loads = 0;
    const load = tokenizerLoader(() => ((loads += 1), counting()));
    expect(await load('nomic-embed-text')).toBeUndefined();
    expect(loads).toBe(0);
  });

  it('has nothing where the package is missing', async () => {
    const load = tokenizerLoader(() => Promise.reject(new Error('Cannot find package')));
    expect(await load('text-embedding-3-large')).toBeUndefined();
  });

  it('loads an encoding once, for all models that have it', async () => {
    let loads = 0;
    const load = tokenizerLoader(() => ((loads += 1), counting()));
    const counts = await Promise.all(['text-embedding-3-small', 'text-embedding-3-large'].map((model) => load(model)));
    expect(counts[0]).toBe(counts[1]);
    expect(loads).toBe(1);
  });

  it("takes the caller's own as it is", async () => {
    const own = (): number => 7;
    expect(await tokenizerLoader(counting)('text-embedding-3-small', own)).toBe(own);
  });
});
