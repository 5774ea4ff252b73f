import { inspect } from 'node:util';
import {
  EmbeddingApiError,
  type EmbeddingOptions,
  type EmbeddingOutcome,
  type EmbeddingProfileName,
  EmbeddingService,
  type EmbeddingServiceParts,
  type EmbedOptions,
} from 'nestjs-pools/embedding';
import { httpPool, type HttpPool, type HttpPoolOptions } from 'nestjs-pools/http';
import {
  type DialectName,
  DIALECTS,
  DIMENSIONS,
  EmbeddingServer,
  type Script,
  vectorOf,
} from '../../support/embedding-server.js';
import { eventually } from '../../support/http-server.js';

export const KEY = 'sk-planted-key-4711';
export const NAMES = Object.keys(DIALECTS) as DialectName[];

const KNOWN = [
  'openai',
  'azure',
  'tei',
  'ollama',
  'vllm',
  'litellm',
  'voyage',
  'mistral',
  'cohere',
  'jina',
  'gemini',
  'bedrock',
] as const satisfies EmbeddingProfileName[];

/** Servers whose profile nobody names: the service has to find out by itself how they are. */
const isUnnamed = (name: DialectName): name is Exclude<DialectName, EmbeddingProfileName> | 'unknown' =>
  name === 'unknown' || !(KNOWN as readonly string[]).includes(name);

/** Models that their servers' profiles know, where what is sent depends on them. */
const MODELS: Partial<Record<DialectName, string>> = {
  jina: 'jina-embeddings-v3',
  gemini: 'gemini-embedding-001',
  bedrock: 'amazon.titan-embed-text-v2:0',
};

/** Kinds of servers that take one text in a request. */
export const isOneByOne = (name: DialectName): boolean => name === 'bedrock';
/** Kinds of servers that tell whose a vector is by its place alone. */
export const isPositional = (name: DialectName): boolean =>
  name === 'cohere' || name === 'index-less' || isOneByOne(name);
/** Kinds of servers that embed a query differently from a document. */
export const knowsInputType = (name: DialectName): boolean => ['voyage', 'cohere', 'jina'].includes(name);

export interface RigSetup {
  readonly script?: Script;
  readonly options?: Partial<EmbeddingOptions>;
  readonly pool?: Partial<HttpPoolOptions>;
  readonly parts?: EmbeddingServiceParts;
}

const closers: (() => Promise<unknown>)[] = [];

/** For `afterEach`. */
export async function closeRigs(): Promise<void> {
  for (const close of closers.splice(0).reverse()) await close();
}

/** A server of some kind, a pool to it and a service over that, which pauses before no retry unless it is told to. */
export class Rig {
  private constructor(
    readonly name: DialectName,
    readonly server: EmbeddingServer,
    readonly pool: HttpPool,
    readonly service: EmbeddingService,
  ) {}

  static async start(name: DialectName, { script, options, pool: limits, parts }: RigSetup = {}): Promise<Rig> {
    const server = await EmbeddingServer.start(name, script);
    closers.push(() => server.stop());
    const auth: Record<string, string> = name === 'azure' ? { 'api-key': KEY } : { authorization: `Bearer ${KEY}` };
    const definition = httpPool({ baseURL: server.url, headers: auth, maxConnections: 3, ...limits });
    const pool = definition.createPool({ name: 'embeddings', factory: definition.factory, ...definition.limits });
    closers.push(() => pool.close({ timeoutMs: 0 }));
    const service = new EmbeddingService(
      pool,
      { model: MODELS[name] ?? 'm', ...(isUnnamed(name) ? {} : { profile: name }), ...options },
      { random: () => 0, ...parts },
    );
    closers.push(() => service.close());
    return new Rig(name, server, pool, service);
  }

  /** The one right vector of a text. */
  right(text: string, { dimensions = DIMENSIONS, inputType }: EmbedOptions = {}): Float32Array {
    if (!knowsInputType(this.name)) return vectorOf(text, dimensions);
    return vectorOf(text, dimensions, inputType ?? (this.name === 'cohere' ? 'document' : ''));
  }

  rightOf(texts: readonly string[], options?: EmbedOptions): Float32Array[] {
    return texts.map((text) => this.right(text, options));
  }

  /** That nothing of a lie is left: from a sane server every text has its own vector, and the pool has all it lent. */
  async isSaneAgain(texts: readonly string[]): Promise<void> {
    this.server.script = undefined;
    await eventually(() => this.pool.stats().activeConnections === 0, 'every connection is back');
    expect(await this.service.embedMany(texts)).toEqual(this.rightOf(texts));
    expect(await this.service.embed('something that was never asked for')).toEqual(
      this.right('something that was never asked for'),
    );
    expect(this.pool.stats()).toMatchObject({ activeConnections: 0, waiting: 0 });
    expect(this.service.stats().pendingCalls).toBe(0);
  }
}

export const failure = async (work: Promise<unknown>): Promise<Error> =>
  work.then(
    () => Promise.reject(new Error('did not fail')),
    (error: Error) => error,
  );

/** The error of an outcome, and of a vector that it is none. */
export function errorOf(outcome: EmbeddingOutcome | undefined): Error | undefined {
  return outcome?.ok === false ? outcome.error : undefined;
}

/** What the server's error was understood as, also where it became the error of a text. */
export function kindOf(error: unknown): string | undefined {
  const { cause } = error as Error;
  const told = error instanceof EmbeddingApiError ? error : cause;
  return told instanceof EmbeddingApiError ? told.kind : undefined;
}

/** Everything of an error that may end up in a log. */
export function viewsOf(error: Error): string {
  const own = Object.values(error).map(String);
  return [error.message, error.stack, JSON.stringify(error), inspect(error, { depth: Infinity }), ...own].join('\n');
}
