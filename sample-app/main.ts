import type { AddressInfo } from 'node:net';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { AppModule } from './app.module.js';
import { EmbeddingServer } from './config/embedding-server.js';
import { EnvironmentError, readEnvironment } from './config/environment.js';
import { QuietLogger } from './web/quiet-logger.js';

try {
  await start();
} catch (error) {
  console.error(inWords(error));
  process.exit(1);
}

async function start(): Promise<void> {
  // Before Nest looks: its own report of a wrong value is a stack.
  const { PORT } = readEnvironment(process.env);
  const app = await NestFactory.create<NestExpressApplication>(AppModule, {
    logger: new QuietLogger(),
    bodyParser: false,
    abortOnError: false,
  });
  app.disable('x-powered-by');
  app.useBodyParser('json', { limit: '2mb' });
  app.enableShutdownHooks();
  await app.listen(PORT);

  const { port } = app.getHttpServer().address() as AddressInfo;
  const url = `http://localhost:${port}`;
  console.log(
    [
      '',
      `  Search the documents   ${url}`,
      `  Pools                  ${url}/pools`,
      `  Health                 ${url}/health/live and ${url}/health/ready`,
      `  Embeddings come from   ${app.get(EmbeddingServer, { strict: false }).description}`,
      '',
    ].join('\n'),
  );
}

function inWords(error: unknown): string {
  if (error instanceof EnvironmentError) return `${error.message}\nAll settings: sample-app/README.md`;
  const { code, port } = error as { code?: unknown; port?: unknown };
  if (code === 'EADDRINUSE')
    return `Port ${String(port)} is taken. Set PORT to another one; PORT=0 takes any that is free.`;
  if (code === 'EACCES') return `Port ${String(port)} is not ours to take. Set PORT to one from 1024 up.`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
