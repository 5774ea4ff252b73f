import { PoolOptionsError } from '../core/index.js';
import { checkGroup, group, type Rule, shapeOf } from '../core/option-rules.js';

/**
 * US dollars for a million tokens, as the providers' own pages list them; a contract, a batch API or a reseller may differ.
 *
 * Looked up on 2026-11-30 in stored copies, which may be some months older: OpenAI's of its page
 * developers.openai.com/api/docs/models/text-embedding-3-large, which has both models; Voyage's of MongoDB's page
 * mongodb.com/docs/vector-search/crud-embeddings/automated-embedding/models. Others could not be read at their source.
 */
const LIST_PRICES: readonly (readonly [model: string, price: number])[] = [
  ['text-embedding-3-small', 0.02],
  ['text-embedding-3-large', 0.13],
  ['voyage-4-lite', 0.02],
  ['voyage-4', 0.06],
  ['voyage-4-large', 0.12],
  ['voyage-code-3', 0.18],
];

/** Options of a {@link CostLedger}. @publicApi */
export interface CostLedgerOptions {
  /**
   * The price of a million tokens by model, as the embedder names it. Goes before the list prices, which are in US dollars.
   * 0 is a price: a server of your own.
   */
  readonly prices?: Readonly<Record<string, number>>;
}

/** What one request, or several, took. @publicApi */
export interface EmbeddingUsage {
  readonly requests: number;
  /** Texts, those included that were not sent. */
  readonly inputs: number;
  /** As the server counted them; `undefined` where it did not. */
  readonly tokens: number | undefined;
  /** Texts that a cache had. Default: 0. */
  readonly cachedInputs?: number;
  /** Whether the tokens are our estimate and not the server's count. Default: false. */
  readonly isEstimated?: boolean;
}

/** What one model has cost. @publicApi */
export interface EmbeddingCost {
  readonly model: string;
  readonly requests: number;
  /** Texts, those included that were not sent. */
  readonly inputs: number;
  /** Texts that a cache had. */
  readonly cachedInputs: number;
  /** Of all requests whose tokens are known; `undefined` where requests were made and none's are. */
  readonly tokens: number | undefined;
  /** Requests whose tokens are not known, and so not in `tokens` and `cost`. */
  readonly uncountedRequests: number;
  /** Whether some of the tokens are an estimate. */
  readonly isEstimated: boolean;
  /** For a million tokens; `undefined` where no price is known. */
  readonly price: number | undefined;
  /** In the price's currency; `undefined` where the price or the tokens are not known. Never 0 for want of knowledge. */
  readonly cost: number | undefined;
}

interface Account {
  requests: number;
  inputs: number;
  cachedInputs: number;
  /** A whole number: a sum of costs would gather an error with each request. */
  tokens: number;
  uncountedRequests: number;
  isEstimated: boolean;
}

const price: Rule = (value) =>
  typeof value === 'number' && value >= 0 && value < Infinity ? undefined : 'a price for a million tokens, from 0';

/**
 * Adds up what embedding costs, by model.
 *
 * @publicApi
 */
export class CostLedger {
  private readonly prices = new Map<string, number>(LIST_PRICES);
  private readonly accounts = new Map<string, Account>();

  /**
   * @throws {@link PoolOptionsError} naming every option that is wrong
   */
  constructor(options: CostLedgerOptions = {}) {
    const problems = checkGroup({ prices: group }, options);
    const prices = problems.length === 0 ? Object.entries(options.prices ?? {}) : [];
    for (const [model, value] of prices) {
      const expected = price(value);
      if (expected !== undefined) problems.push(`prices.${model}: expected ${expected}, got ${shapeOf(value)}`);
      this.prices.set(model, value);
    }
    if (problems.length > 0) throw new PoolOptionsError('CostLedger', problems);
  }

  /** A count that is none (negative, `NaN`) is taken for unknown tokens and for nothing else: it spoils no sum. */
  add(model: string, usage: EmbeddingUsage): void {
    const account = this.accountOf(model);
    const requests = countOf(usage.requests) ?? 0;
    account.requests += requests;
    account.inputs += countOf(usage.inputs) ?? 0;
    account.cachedInputs += countOf(usage.cachedInputs) ?? 0;
    const tokens = countOf(usage.tokens);
    if (tokens === undefined) {
      account.uncountedRequests += requests;
    } else {
      account.tokens += tokens;
      account.isEstimated ||= usage.isEstimated === true;
    }
  }

  /** One entry for each model, in the order in which they were first used. */
  report(): readonly EmbeddingCost[] {
    return Array.from(this.accounts, ([model, account]) => this.costOf(model, account));
  }

  /** What so many tokens of a model cost; `undefined` where no price is known. @internal */
  priceOf(model: string, tokens: number): number | undefined {
    const price = this.prices.get(model);
    return price === undefined ? undefined : (tokens * price) / 1_000_000;
  }

  /** Back to nothing; the prices stay. */
  reset(): void {
    this.accounts.clear();
  }

  private accountOf(model: string): Account {
    let account = this.accounts.get(model);
    if (account === undefined) {
      account = { requests: 0, inputs: 0, cachedInputs: 0, tokens: 0, uncountedRequests: 0, isEstimated: false };
      this.accounts.set(model, account);
    }
    return account;
  }

  private costOf(model: string, account: Account): EmbeddingCost {
    const { tokens: counted, requests, uncountedRequests, ...rest } = account;
    const isKnown = counted > 0 || uncountedRequests === 0;
    const tokens = isKnown ? counted : undefined;
    const unitPrice = this.prices.get(model);
    const cost = tokens === undefined || unitPrice === undefined ? undefined : (tokens * unitPrice) / 1_000_000;
    return { model, requests, tokens, uncountedRequests, ...rest, price: unitPrice, cost };
  }
}

/** An estimate may have a fraction; the sum is to stay whole. */
function countOf(value: number | undefined): number | undefined {
  return typeof value === 'number' && value >= 0 && value < Infinity ? Math.ceil(value) : undefined;
}
