/**
 * What Nest's side of the pool costs: a call through `@UsePool` beside the same work under `pool.use()`, and the boot of an
 * application with fifty pools beside that of one with none.
 *
 *     npm run bench:nest                 a minute
 *     npm run bench:nest -- --rounds 5   fewer rounds
 */
import 'reflect-metadata';
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ConnectionPool, customPool, getPoolToken, Leased, PoolModule, UsePool } from 'nestjs-pools';
import { cpuClock } from './cpu-clock.mjs';
import { digits } from './figures.mjs';

const CALLS = 20_000;
const POOLS = 50;
/** Nanoseconds, and milliseconds. */
const MOST = { call: 1_000, boot: 50 };

const { values: options } = parseArgs({
  options: { rounds: { type: 'string' }, boot: { type: 'string' }, calls: { type: 'string' } },
});
const rounds = Number(options.rounds ?? 15);

function report() {
  const usual = inChild('--calls', 'usual');
  const joined = inChild('--calls', 'joined');
  const [none, fifty] = bootTimes();
  console.log(`node ${process.version}, ${rounds} rounds, medians; calls in processor time (${usual.source})\n`);
  console.log('| a call | ns | more than pool.use() |\n| --- | ---: | ---: |');
  usual.rows.forEach(row);
  console.log('| _where some method of the process joins leases_ | | |');
  joined.rows.forEach(row);
  console.log(`\n| boot of an application | ms |\n| --- | ---: |`);
  console.log(`| without PoolModule | ${digits(none)} |\n| with ${POOLS} pools | ${digits(fifty)} |\n`);
  const worst = Math.max(...[...usual.rows, ...joined.rows].flatMap(({ more }) => more ?? []));
  console.log(
    `a call costs at most ${digits(worst)} ns more (must: ${MOST.call}); ${POOLS} pools ${digits(fifty - none)} ms (must: ${MOST.boot})`,
  );
}

function row({ what, ns, more }) {
  console.log(`| ${what} | ${digits(ns)} | ${more === undefined ? '' : digits(more)} |`);
}

function inChild(...args) {
  const env = { ...process.env, NODE_ENV: 'production' };
  const file = fileURLToPath(import.meta.url);
  return JSON.parse(execFileSync(process.execPath, [file, '--rounds', String(rounds), ...args], { env }).toString());
}

/** One after the other in each round, so that all have the machine's good and bad moments. */
async function costOfCalls() {
  const clock = cpuClock();
  const app = await NestFactory.createApplicationContext(moduleOf(1), { logger: false });
  const pool = app.get(getPoolToken('pool-0'));
  const bare = new ConnectionPool({ name: 'bare', factory: { create: () => ({}) } });
  const service = app.get('service');
  const work = async () => undefined;
  const { signal } = new AbortController();
  const contenders = [
    { what: 'pool.use(), a bare pool', run: () => bare.use(work) },
    { what: '@UsePool, a bare pool', run: () => service.bare(), beside: 0 },
    { what: "pool.use(), Nest's defaults in production", run: () => pool.use(work) },
    { what: '@UsePool', run: () => service.plain(), beside: 2 },
    { what: '@UsePool with @Leased', run: () => service.leased('a'), beside: 2 },
    { what: 'pool.use() with a signal and a timeout', run: () => pool.use(work, { signal, acquireTimeoutMs: 1_000 }) },
    { what: '@UsePool with the same', run: () => service.patient(signal), beside: 5 },
  ];
  service.pool = bare;
  const times = contenders.map(() => []);
  for (let round = -3; round < rounds; round += 1) {
    for (const [index, { run }] of contenders.entries()) {
      const began = clock.now();
      for (let call = 0; call < CALLS; call += 1) await run();
      if (round >= 0) times[index].push((clock.now() - began) / CALLS);
    }
  }
  await app.close();
  await bare.close();
  const medians = times.map(median);
  const rows = contenders.map(({ what, beside }, index) => ({
    what,
    ns: medians[index],
    more: beside === undefined ? undefined : medians[index] - medians[beside],
  }));
  return { rows, source: clock.source };
}

class Service {
  async bare(_connection) {}
  async plain() {}
  async leased(_text, _connection) {}
  async patient(_signal) {}
  async joins() {}
}
decorate(
  'bare',
  UsePool((self) => self.pool),
  0,
);
decorate('plain', UsePool('pool-0'));
decorate('leased', UsePool('pool-0'), 1);
if (options.calls === 'joined') decorate('joins', UsePool('pool-0', { nested: 'join' }));
decorate('patient', UsePool('pool-0', { signal: '_signal', acquireTimeoutMs: 1_000 }));

/** As the compiler does it. */
function decorate(key, usePool, leasedIndex) {
  if (leasedIndex !== undefined) Leased()(Service.prototype, key, leasedIndex);
  const descriptor = Object.getOwnPropertyDescriptor(Service.prototype, key);
  usePool(Service.prototype, key, descriptor);
  Object.defineProperty(Service.prototype, key, descriptor);
}

function moduleOf(count) {
  const definition = () => customPool({ factory: { create: () => ({}) }, minConnections: 0 });
  const pools = Object.fromEntries(Array.from({ length: count }, (_none, index) => [`pool-${index}`, definition()]));
  class BenchModule {}
  const imports = count === 0 ? [] : [PoolModule.forRoot({ pools })];
  const providers = count === 0 ? [] : [{ provide: 'service', useClass: Service }];
  Module({ imports, providers })(BenchModule);
  return BenchModule;
}

function bootTimes() {
  const times = [[], []];
  for (let round = 0; round < rounds; round += 1) {
    for (const [index, count] of [0, POOLS].entries()) {
      times[index].push(inChild('--boot', String(count)));
    }
  }
  return times.map(median);
}

/** Wall time: what a deploy waits for. */
async function bootHere(count) {
  const began = performance.now();
  const app = await NestFactory.create(moduleOf(count), { logger: false });
  await app.init();
  console.log(performance.now() - began);
  await app.close();
}

function median(values) {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)];
}

if (options.boot !== undefined) await bootHere(Number(options.boot));
else if (options.calls !== undefined) console.log(JSON.stringify(await costOfCalls()));
else report();
