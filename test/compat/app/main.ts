/**
 * The application of the matrix, on the platform that the command line names. SIGTERM ends it as Nest does; SIGUSR2 has it
 * closed by its own program, more than once.
 */
import 'reflect-metadata';
import type { Server } from 'node:http';
import type { INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { AppModule } from './app.module.js';
import { tell } from './tell.js';

async function main(): Promise<void> {
  const app =
    process.argv[2] === 'Fastify'
      ? await NestFactory.create(AppModule, new FastifyAdapter())
      : await NestFactory.create(AppModule);
  app.enableShutdownHooks(['SIGTERM']);
  const server = app.getHttpServer() as Server;
  // Which connections were accepted: one that stood in line when the server closed is reset by the kernel, unseen.
  const accepted: (number | undefined)[] = [];
  server.on('connection', ({ remotePort }) => accepted.push(remotePort));
  server.once('close', () => tell({ accepted }));
  process.once('SIGUSR2', () => void close(app));
  await app.listen(0, '127.0.0.1');
  tell({ url: await app.getUrl() });
}

/** Nest 12 joins a close that is under way; Nest 11 runs all hooks again. */
async function close(app: INestApplication): Promise<void> {
  await Promise.all([app.close(), app.close()]);
  await app.close();
  tell({ closedThrice: true });
}

void main();
