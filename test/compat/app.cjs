/**
 * A CommonJS application on whatever Nest is installed beside it: leases, health and shutdown, on Express and on Fastify.
 * Run by nest-11.mjs in a folder of its own.
 */
require('reflect-metadata');
const assert = require('node:assert/strict');
const { Module, Injectable } = require('@nestjs/common');
const { NestFactory } = require('@nestjs/core');
const { FastifyAdapter } = require('@nestjs/platform-fastify');
const { customPool, getPoolToken, InjectPool, Leased, PoolModule, UsePool } = require('nestjs-pools');
const { PoolHealthModule } = require('nestjs-pools/health');

let isUp = true;
let open = 0;
const factory = {
  create: () => {
    if (!isUp) throw Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });
    open += 1;
    return { answer: 42 };
  },
  destroy: () => {
    open -= 1;
  },
};

class Answers {
  constructor(pool) {
    this.pool = pool;
  }
  get() {
    return this.pool.use(({ answer }) => answer);
  }
  async leased(connection) {
    return connection.answer;
  }
}
Injectable()(Answers);
Leased()(Answers.prototype, 'leased', 0);
const leased = Object.getOwnPropertyDescriptor(Answers.prototype, 'leased');
UsePool('answers')(Answers.prototype, 'leased', leased);
Object.defineProperty(Answers.prototype, 'leased', leased);
InjectPool('answers')(Answers, undefined, 0);

class AppModule {}
const definition = customPool({ factory, minConnections: 0, maxConnections: 1 });
Module({
  imports: [
    PoolModule.forRootAsync({ pools: ['answers'], useFactory: () => ({ answers: definition }) }),
    PoolHealthModule,
  ],
  providers: [Answers],
})(AppModule);

async function check(platform, adapter) {
  const app = await NestFactory.create(AppModule, ...adapter, { logger: false });
  await app.listen(0, '127.0.0.1');
  const url = await app.getUrl();
  const health = async (path) => {
    const answer = await fetch(`${url}/health/${path}`, { headers: { connection: 'close' } });
    return { status: answer.status, ...(await answer.json()) };
  };
  const pool = app.get(getPoolToken('answers'));

  assert.equal(await app.get(Answers).get(), 42);
  assert.equal(await app.get(Answers).leased(), 42);
  assert.equal((await health('live')).status, 'ok');
  assert.equal((await health('ready')).details.answers.status, 'up');

  const lease = await pool.acquire();
  const waiting = app.get(Answers).get();
  const { details } = await health('ready');
  assert.match(details.answers.message, /1 acquires wait/);
  // Terminus 11 knows no `degraded`.
  assert.ok(details.answers.status === 'degraded' || details.answers.degraded === true);
  lease.release();
  assert.equal(await waiting, 42);

  isUp = false;
  (await pool.acquire()).destroy();
  await assert.rejects(app.get(Answers).get(), { code: 'POOL_CREATE_FAILED' });
  assert.equal((await health('ready')).error.answers.status, 'down');
  assert.equal((await health('live')).status, 'ok');
  isUp = true;
  assert.equal(await app.get(Answers).get(), 42);
  assert.equal((await health('ready')).status, 'ok');

  await app.close();
  assert.deepEqual([pool.state, open], ['closed', 0]);
  console.log(`${platform}: leases, tells its health, shuts down`);
}

async function main() {
  await check('Express', []);
  await check('Fastify', [new FastifyAdapter()]);
}

void main();
