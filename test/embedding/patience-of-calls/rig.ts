import type { ServerResponse } from 'node:http';
import type { ConnectionPool } from 'nestjs-pools';
import { type EmbeddingOptions, EmbeddingService, type EmbeddingServiceParts } from 'nestjs-pools/embedding';
import { type HttpConnection, httpPool, type HttpPool, type HttpPoolOptions } from 'nestjs-pools/http';
import { type DialectName, EmbeddingServer, type Reply, type Script } from '../../support/embedding-server.js';

export const MODEL = 'm';

const closers: (() => Promise<unknown>)[] = [];

/** Called when the test is over, the latest first. */
export function atEnd(close: () => Promise<unknown>): void {
  closers.push(close);
}

/** For `afterEach`. */
export async function tidyUp(): Promise<void> {
  for (const close of closers.splice(0).reverse()) await close();
}

export async function serverOf(script?: Script, dialect: DialectName = 'openai', port = 0): Promise<EmbeddingServer> {
  const server = await EmbeddingServer.start(dialect, script, port);
  atEnd(() => server.stop());
  return server;
}

export function poolAt(url: string, options: Partial<HttpPoolOptions> = {}, name = 'embeddings'): HttpPool {
  const definition = httpPool({ baseURL: url, ...options });
  const pool = definition.createPool({ name, factory: definition.factory, ...definition.limits });
  atEnd(() => pool.close({ timeoutMs: 0 }));
  return pool;
}

/** Draws the shortest of all pauses, which is none, where the test does not say otherwise. */
export function serviceOf(
  pool: ConnectionPool<HttpConnection>,
  options: Partial<EmbeddingOptions> = {},
  parts: EmbeddingServiceParts = {},
): EmbeddingService {
  const service = new EmbeddingService(pool, { model: MODEL, ...options }, { random: () => 0, ...parts });
  atEnd(() => service.close());
  return service;
}

/** What a call fails with. */
export function failure<E = Error & { readonly code: string }>(work: Promise<unknown>): Promise<E> {
  return work.then(
    () => Promise.reject(new Error('did not fail')),
    (error: E) => error,
  );
}

export const SILENCE: Reply = { take: () => undefined };
export const HANG_UP: Reply = { take: (response) => void response.destroy() };

/** The head and the beginning of an answer. */
export const HALF: Reply = { take: (response) => void response.writeHead(200).write('{"object":"list",') };

/** Answers that wait until the test lets them go. */
export class Gate {
  private readonly waiting: { readonly response: ServerResponse; readonly right: object }[] = [];

  /** For a script. */
  readonly reply: Reply = { take: (response, right) => void this.waiting.push({ response, right }) };

  open(): void {
    for (const { response, right } of this.waiting.splice(0)) response.end(JSON.stringify(right));
  }

  refuse(status: number, headers: Record<string, string> = {}): void {
    for (const { response } of this.waiting.splice(0)) response.writeHead(status, headers).end('{}');
  }
}

/** A turn of the event loop. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** What a stream hands out, in its order. */
export async function all<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of stream) items.push(item);
  return items;
}
