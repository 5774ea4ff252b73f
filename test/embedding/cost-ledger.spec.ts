import fc from 'fast-check';
import { CostLedger } from '../../lib/embedding/cost-ledger.js';

const usage = (tokens: number | undefined, more: { requests?: number; inputs?: number } = {}) => ({
  requests: 1,
  inputs: 2,
  tokens,
  ...more,
});

describe('CostLedger', () => {
  it('adds up what each model took and cost, in the order of their first use', () => {
    const ledger = new CostLedger();
    ledger.add('text-embedding-3-small', { requests: 1, inputs: 10, tokens: 900_000 });
    ledger.add('text-embedding-3-large', { requests: 1, inputs: 1, tokens: 1_000_000 });
    ledger.add('text-embedding-3-small', { requests: 2, inputs: 20, tokens: 100_000, cachedInputs: 5 });
    expect(ledger.report()).toEqual([
      {
        model: 'text-embedding-3-small',
        requests: 3,
        inputs: 30,
        cachedInputs: 5,
        tokens: 1_000_000,
        uncountedRequests: 0,
        isEstimated: false,
        price: 0.02,
        cost: 0.02,
      },
      expect.objectContaining({ model: 'text-embedding-3-large', tokens: 1_000_000, cost: 0.13 }),
    ]);
  });

  it('knows no cost where it knows no price', () => {
    const ledger = new CostLedger();
    ledger.add('bge-m3', usage(1_000));
    ledger.add('constructor', usage(1_000));
    expect(ledger.report().map(({ price, cost }) => [price, cost])).toEqual([
      [undefined, undefined],
      [undefined, undefined],
    ]);
  });

  it('takes prices of your own before the list, and 0 for a price', () => {
    const ledger = new CostLedger({ prices: { 'text-embedding-3-small': 0.01, 'bge-m3': 0 } });
    ledger.add('text-embedding-3-small', usage(2_000_000));
    ledger.add('bge-m3', usage(2_000_000));
    expect(ledger.report().map(({ cost }) => cost)).toEqual([0.02, 0]);
  });

  it('knows no cost where no request was counted', () => {
    const ledger = new CostLedger();
    ledger.add('voyage-4', usage(undefined));
    expect(ledger.report()).toMatchObject([{ requests: 1, uncountedRequests: 1, tokens: undefined, cost: undefined }]);
  });

  it('says how many requests a sum leaves out', () => {
    const ledger = new CostLedger();
    ledger.add('voyage-4', usage(1_000_000));
    ledger.add('voyage-4', usage(undefined, { requests: 3 }));
    expect(ledger.report()).toMatchObject([{ requests: 4, uncountedRequests: 3, tokens: 1_000_000, cost: 0.06 }]);
  });

  it('says where it relies on an estimate', () => {
    const ledger = new CostLedger();
    ledger.add('voyage-4', usage(10));
    expect(ledger.report()).toMatchObject([{ isEstimated: false }]);
    ledger.add('voyage-4', { ...usage(7.4), isEstimated: true });
    ledger.add('voyage-4', usage(10));
    expect(ledger.report()).toMatchObject([{ isEstimated: true, tokens: 28 }]);
  });

  it('costs nothing for what a cache had', () => {
    const ledger = new CostLedger();
    ledger.add('voyage-4', { requests: 0, inputs: 3, tokens: 0, cachedInputs: 3 });
    ledger.add('voyage-4-lite', { requests: 0, inputs: 3, tokens: undefined, cachedInputs: 3 });
    expect(ledger.report()).toMatchObject([
      { cachedInputs: 3, tokens: 0, cost: 0 },
      { cachedInputs: 3, tokens: 0, cost: 0 },
    ]);
  });

  it.each([NaN, -1, Infinity, '12' as unknown as number])('takes %p for tokens that are not known', (tokens) => {
    const ledger = new CostLedger();
    ledger.add('voyage-4', usage(500_000));
    ledger.add('voyage-4', usage(tokens));
    expect(ledger.report()).toMatchObject([{ tokens: 500_000, uncountedRequests: 1, cost: 0.03 }]);
  });

  it('comes to the same sum whatever the order and the pieces, to the last digit', () => {
    const cents = fc.integer({ min: 0, max: 10_000 });
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 2 ** 31 }), { maxLength: 50 }), cents, (pieces, price) => {
        const prices = { model: price / 100 };
        const [one, other] = [new CostLedger({ prices }), new CostLedger({ prices })];
        for (const tokens of pieces) one.add('model', usage(tokens));
        for (const tokens of pieces.toReversed()) {
          other.add('model', usage(Math.floor(tokens / 2), { requests: 0, inputs: 0 }));
          other.add('model', usage(Math.ceil(tokens / 2)));
        }
        expect(one.report()).toEqual(other.report());
        const exact = Number(pieces.reduce((sum, tokens) => sum + BigInt(tokens), 0n) * BigInt(price)) / 1e8;
        if (pieces.length > 0) expect(Math.abs(one.report()[0]!.cost! - exact)).toBeLessThanOrEqual(exact * 1e-15);
      }),
    );
  });

  it('reports a copy, and begins again after a reset with the prices that it had', () => {
    const ledger = new CostLedger({ prices: { mine: 1 } });
    ledger.add('mine', usage(1));
    const before = ledger.report();
    ledger.add('mine', usage(1));
    expect(before).toMatchObject([{ tokens: 1 }]);
    ledger.reset();
    expect(ledger.report()).toEqual([]);
    ledger.add('mine', usage(1_000_000));
    expect(ledger.report()).toMatchObject([{ requests: 1, cost: 1 }]);
  });

  it('refuses prices that are none, all of them', () => {
    const prices = { a: -1, b: NaN, c: '0.02' as unknown as number, d: Infinity, e: 0.02 };
    expect(() => new CostLedger({ prices })).toThrow(
      expect.objectContaining({
        code: 'POOL_OPTIONS',
        problems: [
          'prices.a: expected a price for a million tokens, from 0, got a negative number',
          'prices.b: expected a price for a million tokens, from 0, got NaN',
          'prices.c: expected a price for a million tokens, from 0, got a text',
          'prices.d: expected a price for a million tokens, from 0, got a fraction or an infinite number',
        ],
      }),
    );
    expect(() => new CostLedger({ price: {} } as object)).toThrow('price: no such option (did you mean prices?)');
  });
});
