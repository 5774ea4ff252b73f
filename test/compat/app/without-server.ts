/** Applications without an HTTP server, and applications that do not come up: each must leave nothing open. */
import 'reflect-metadata';
import assert from 'node:assert/strict';
import { type AddressInfo, type Server } from 'node:net';
import { type DynamicModule, Injectable, Module, type OnApplicationBootstrap } from '@nestjs/common';
import { APP_FILTER, NestFactory } from '@nestjs/core';
import { ClientProxyFactory, type MicroserviceOptions, Transport } from '@nestjs/microservices';
import { type ConnectionPool, getPoolToken, InjectPool, PoolExceptionFilter, PoolModule } from 'nestjs-pools';
import { firstValueFrom } from 'rxjs';
import { AnswerService } from './answer.service.js';
import { type Answer, CountedUpstream } from './counted-upstream.js';
import { MessagesController } from './messages.controller.js';
import { tell } from './tell.js';

const host = '127.0.0.1';

/** A root module; Nest wants a class of its own for each. */
function root(upstream: CountedUpstream, { imports = [], ...rest }: Partial<DynamicModule>): DynamicModule {
  @Module({})
  class Root {}
  const pools = { answers: upstream.definition() };
  return { module: Root, imports: [PoolModule.forRoot({ pools, failOnStart: true }), ...imports], ...rest };
}

function leavesNothing({ opened, closed }: CountedUpstream, atLeast: number): void {
  assert.ok(opened >= atLeast, `${opened} connections were opened`);
  assert.equal(closed, opened, 'connections closed and opened');
}

async function standalone(): Promise<void> {
  const upstream = new CountedUpstream();
  const app = root(upstream, { providers: [AnswerService] });
  const context = await NestFactory.createApplicationContext(app, { logger: false });
  const answers = context.get(AnswerService);
  assert.deepEqual([await answers.byHand(), await answers.leased()], [1, 1]);
  await Promise.all([context.close(), context.close()]);
  await context.close();
  await assert.rejects(answers.leased(), { code: 'POOL_CLOSED' });
  leavesNothing(upstream, 1);
}

async function microservice(): Promise<void> {
  const upstream = new CountedUpstream();
  const filter = { provide: APP_FILTER, useClass: PoolExceptionFilter };
  const app = root(upstream, { controllers: [MessagesController], providers: [filter] });
  const tcp: MicroserviceOptions = { transport: Transport.TCP, options: { host, port: 0 } };
  const service = await NestFactory.createMicroservice<MicroserviceOptions>(app, { ...tcp, logger: false });
  await service.listen();
  const { port } = service.unwrap<Server>().address() as AddressInfo;
  const client = ClientProxyFactory.create({ transport: Transport.TCP, options: { host, port } });
  const ask = (pattern: string, text: string) => firstValueFrom(client.send<string>(pattern, text));
  assert.equal(await ask('echo', 'one'), 'one by #1');

  upstream.isUp = false;
  const pool = service.get<ConnectionPool<Answer>>(getPoolToken('answers'));
  pool.evict();
  const refusal = await ask('echo', 'two').catch((error: unknown) => error as Record<string, unknown>);
  assert.ok(typeof refusal === 'object', 'a pool without an upstream answered');
  const { message, ...others } = refusal;
  assert.deepEqual(others, { status: 'error', code: 14, retryAfter: 1 });
  assert.match(String(message), /busy/);
  upstream.isUp = true;

  // Nest cuts the connections before it calls the first hook, so the client cannot be answered; the work is not lost.
  const cut = assert.rejects(ask('late', 'three'), { message: 'Connection closed' });
  const messages = service.get(MessagesController);
  await messages.arrived;
  await service.close();
  await cut;
  assert.match(String(messages.ended), /^three by #\d+, while closed$/);
  await client.close();
  leavesNothing(upstream, 2);
}

@Injectable()
class Failing implements OnApplicationBootstrap {
  constructor(@InjectPool('answers') private readonly pool: ConnectionPool<Answer>) {}

  async onApplicationBootstrap(): Promise<void> {
    // So that there is something to close.
    await this.pool.ready();
    throw new Error('this one fails');
  }
}

async function failingBoots(): Promise<void> {
  const upstream = new CountedUpstream();
  const failing = root(upstream, { providers: [Failing] });
  const why = { message: 'this one fails' };
  await assert.rejects(NestFactory.createApplicationContext(failing, { logger: false, abortOnError: false }), why);
  leavesNothing(upstream, 1);

  const other = new CountedUpstream();
  const app = await NestFactory.create(root(other, { providers: [Failing] }), { logger: false });
  await assert.rejects(app.listen(0, host), why);
  leavesNothing(other, 1);
  await app.close();
}

async function failOnStart(): Promise<void> {
  const upstream = new CountedUpstream();
  upstream.isUp = false;
  const boot = () => NestFactory.createApplicationContext(root(upstream, {}), { logger: false, abortOnError: false });
  await assert.rejects(boot(), { code: 'POOL_CREATE_FAILED' });
  leavesNothing(upstream, 0);
  upstream.isUp = true;
  await (await boot()).close();
  leavesNothing(upstream, 1);
}

async function main(): Promise<void> {
  const checks = {
    'standalone context': standalone,
    'TCP microservice': microservice,
    'boots that fail': failingBoots,
    failOnStart,
  };
  for (const [name, check] of Object.entries(checks)) {
    const began = performance.now();
    await check();
    tell({ passed: name, tookMs: Math.round(performance.now() - began) });
  }
}

void main();
