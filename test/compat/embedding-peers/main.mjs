/** Run in a folder where the package and the frameworks are installed. A line per check: where, a tab, what. */
import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { PoolModule } from 'nestjs-pools';
import { EmbeddingModule, EmbeddingService } from 'nestjs-pools/embedding';
import { httpPool } from 'nestjs-pools/http';
import { aiSdkChecks } from './ai-sdk.mjs';
import { clientsChecks } from './clients.mjs';
import { langChainChecks } from './langchain.mjs';
import { llamaIndexChecks } from './llamaindex.mjs';
import { OpenAiServer } from './openai-server.mjs';

/** Whoever waits longer waits for something that does not come. */
const CHECK_TIMEOUT_MS = 10_000;

const server = new OpenAiServer();
await server.start();
class AppModule {}
const app = await NestFactory.createApplicationContext(
  {
    module: AppModule,
    imports: [
      PoolModule.forRoot({ pools: { embeddings: httpPool({ baseURL: server.url, transport: 'undici' }) } }),
      // Without a cache, retries and a breaker, every request is one that a framework has asked for.
      EmbeddingModule.forRoot({ pool: 'embeddings', model: 'm', cache: false, retry: false, breaker: false }),
    ],
  },
  { logger: ['error', 'warn'] },
);

const rig = { server, service: app.get(EmbeddingService) };
console.log(`node\t${process.version}`);
for (const checks of [clientsChecks, aiSdkChecks, langChainChecks, llamaIndexChecks]) {
  for (const [where, what, check] of checks(rig)) await tried(where, what, check);
}
await app.close();
await server.stop();

/** The others are tried all the same. */
async function tried(where, what, check) {
  const late = new Promise((_resolve, reject) => {
    setTimeout(() => reject(new Error(`no end within ${CHECK_TIMEOUT_MS} ms`)), CHECK_TIMEOUT_MS).unref();
  });
  try {
    await Promise.race([check(), late]);
    console.log(`${where}\t${what}`);
  } catch (error) {
    process.exitCode = 1;
    console.log(`${where}\tFAILED ${what}: ${error.stack}`);
  }
}
