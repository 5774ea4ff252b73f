import { type EmbeddingOptions, EmbeddingService, type EmbeddingServiceParts } from 'nestjs-pools/embedding';
import { httpPool, type HttpPool, type HttpPoolOptions } from 'nestjs-pools/http';
import { type DialectName, EmbeddingServer, type SeenRequest, vectorOf } from '../../support/embedding-server.js';
import { eventually } from '../../support/http-server.js';

export const MODEL = 'text-embedding-3-small';

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** Done after the test, the last one first. */
export function afterTest(close: () => Promise<unknown>): void {
  closers.push(close);
}

export interface RigOptions extends Partial<EmbeddingOptions> {
  readonly dialect?: DialectName;
  /** Default: 4. */
  readonly connections?: number;
  readonly pool?: Partial<HttpPoolOptions>;
  readonly parts?: EmbeddingServiceParts;
}

export interface Rig {
  readonly server: EmbeddingServer;
  readonly pool: HttpPool;
  readonly service: EmbeddingService;
  /** How many texts each request had, in the order in which they came. */
  readonly sizes: () => number[];
}

export function poolOf(baseURL: string, options: Partial<HttpPoolOptions> = {}): HttpPool {
  const definition = httpPool({ baseURL, ...options });
  const pool = definition.createPool({ name: 'embeddings', factory: definition.factory, ...definition.limits });
  afterTest(() => pool.close({ timeoutMs: 0 }));
  return pool;
}

/** A service over a real server, with OpenAI's profile where no other dialect is asked for. */
export async function startRig(options: RigOptions = {}): Promise<Rig> {
  const { dialect = 'openai', connections = 4, pool: poolOptions, parts, ...own } = options;
  const server = await EmbeddingServer.start(dialect);
  afterTest(() => server.stop());
  const pool = poolOf(server.url, { maxConnections: connections, ...poolOptions });
  const service = serviceOver(pool, { profile: dialect, ...own }, parts);
  return { server, pool, service, sizes: () => server.requests.map(({ texts }) => texts.length) };
}

export function serviceOver(
  pool: HttpPool,
  options: Partial<EmbeddingOptions> = {},
  parts: EmbeddingServiceParts = {},
): EmbeddingService {
  const service = new EmbeddingService(pool, { model: MODEL, ...options }, { random: () => 0, ...parts });
  afterTest(() => service.close());
  return service;
}

/** Keeps every request of a server waiting until it is opened. */
export class Gate {
  private open!: () => void;
  private readonly opened = new Promise<void>((resolve) => (this.open = resolve));

  constructor(private readonly server: EmbeddingServer) {
    server.script = async () => {
      await this.opened;
      return undefined;
    };
  }

  /** So many requests have come. */
  held(count: number): Promise<void> {
    return eventually(() => this.server.requests.length >= count, `${count} requests have arrived`);
  }

  release(): void {
    this.server.script = undefined;
    this.open();
  }
}

export const numbered = (count: number, name = 'text'): string[] =>
  Array.from({ length: count }, (_none, index) => `${name} ${index}`);

export const right = (texts: readonly string[]): Float32Array[] => texts.map((text) => vectorOf(text));

/** An answer as OpenAI gives it, whose usage is of the test's making. */
export function answerWith(request: SeenRequest, tokens: number, model = MODEL): { readonly json: object } {
  const data = request.texts.map((text, index) => ({ index, embedding: Array.from(vectorOf(text)) }));
  return { json: { object: 'list', data, model, usage: { prompt_tokens: tokens, total_tokens: tokens } } };
}

export const failure = <E = Error & Record<string, unknown>>(work: Promise<unknown>): Promise<E> =>
  work.then(
    () => Promise.reject(new Error('did not fail')),
    (error: E) => error,
  );
