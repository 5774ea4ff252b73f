import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import type { INestApplication, NestApplicationOptions, Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';

type Create = (module: Type, options?: NestApplicationOptions) => Promise<INestApplication>;

/** How an application is made on each of Nest's HTTP platforms, for `describe.each`. */
export const PLATFORMS: [string, Create][] = [
  ['Express', (module, options) => NestFactory.create(module, { logger: false, ...options })],
  ['Fastify', (module, options) => NestFactory.create(module, new FastifyAdapter(), { logger: false, ...options })],
];

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** One request over a socket of its own, which is closed with the answer. */
export function ask(app: INestApplication, path: string): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const { port } = app.getHttpServer().address() as { port: number };
    const request = httpRequest({ host: '127.0.0.1', port, path, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, text }));
      response.on('error', reject);
    });
    request.on('error', reject).end();
  });
}

/** A client that asks and hangs up when told to. */
export function askAndLeave(
  app: INestApplication,
  path: string,
): { leave(): void; readonly firstBytes: Promise<string> } {
  const { port } = app.getHttpServer().address() as { port: number };
  const request = httpRequest({ host: '127.0.0.1', port, path, agent: false });
  const firstBytes = new Promise<string>((resolve) => {
    request.once('response', (response) => {
      response.on('error', () => undefined);
      response.once('data', (chunk: Buffer) => resolve(chunk.toString()));
    });
  });
  request.on('error', () => undefined).end();
  return { leave: () => void request.destroy(), firstBytes };
}
