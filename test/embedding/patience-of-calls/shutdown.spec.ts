import type { DynamicModule, ModuleMetadata } from '@nestjs/common';
import { PoolModule } from 'nestjs-pools';
import { EmbeddingModule, EmbeddingService } from 'nestjs-pools/embedding';
import { httpPool } from 'nestjs-pools/http';
import { ManualClock } from 'nestjs-pools/testing';
import type { EmbeddingServer } from '../../support/embedding-server.js';
import { eventually } from '../../support/http-server.js';
import { boot, closeAll } from '../../support/nest-app.js';
import { all, failure, Gate, MODEL, poolAt, serverOf, serviceOf, SILENCE, tidyUp, turn } from './rig.js';

afterEach(async () => {
  await closeAll();
  await tidyUp();
});

const texts = (count: number): string[] => Array.from({ length: count }, (_none, index) => `text ${index}`);

/** Pools of these names, each to its own server. */
function pools(servers: Record<string, EmbeddingServer>): DynamicModule {
  const entries = Object.entries(servers);
  return PoolModule.forRoot({
    pools: Object.fromEntries(entries.map(([name, { url }]) => [name, httpPool({ baseURL: url, maxConnections: 4 })])),
  });
}

describe('closing a service', () => {
  it('ends what is queued, under way and waiting, at once and without a trace', async () => {
    const clock = new ManualClock();
    const server = await serverOf(({ texts: [text] }) => (text === 'refused' ? { error: [503, 'down'] } : SILENCE));
    const pool = poolAt(server.url, { maxConnections: 2 });
    const service = serviceOf(pool, { batchSize: 1 }, { clock, random: () => 1 });
    const errors: unknown[] = [];
    const note = (work: Promise<unknown>): void => void work.catch((error: unknown) => errors.push(error));
    note(service.embed('refused'));
    await eventually(() => service.stats().endpoints[0]!.requests === 1, 'it has been sent');
    await eventually(() => service.stats().endpoints[0]!.inFlight === 0, 'it waits');
    for (const text of texts(5)) note(service.embed(text));
    note(service.embedMany(['x', 'y', 'z'], { settle: true }));
    note(all(service.embedStream(['s', 't'])));
    await eventually(() => server.inFlight === 2, 'two are under way');
    await service.close();
    await turn();
    expect(errors).toHaveLength(8);
    for (const error of errors) expect(error).toMatchObject({ code: 'EMBEDDING_ABORTED', retryable: false });
    await eventually(() => server.inFlight === 0, 'the server sees them end');
    await eventually(() => pool.stats().activeConnections === 0, 'the connections are back');
    expect(pool.stats().waiting).toBe(0);
    expect(service.stats().pendingCalls).toBe(0);
    expect(clock.pendingTimers).toBe(0);
    expect(await failure(service.embed('too late'))).toMatchObject({ code: 'EMBEDDING_ABORTED' });
    await service.close();
  });

  it('ends what the rate limit holds back', async () => {
    const clock = new ManualClock();
    const server = await serverOf();
    const rateLimit = { requestsPerMinute: 1, share: 1 };
    const service = serviceOf(poolAt(server.url), { rateLimit, cache: false }, { clock });
    await service.embed('a');
    const held = failure(service.embed('b'));
    await eventually(() => service.stats().endpoints[0]!.held === 1, 'it is held');
    await service.close();
    expect(await held).toMatchObject({ code: 'EMBEDDING_ABORTED' });
    expect(clock.pendingTimers).toBe(0);
  });
});

/** Where in an application the modules may stand: Nest ends them in an order that depends on it. */
const arrangements: [
  string,
  (pools: DynamicModule, embeddings: DynamicModule) => NonNullable<ModuleMetadata['imports']>,
][] = [
  ['after the pools', (ours, embeddings) => [ours, embeddings]],
  ['before the pools', (ours, embeddings) => [embeddings, ours]],
  ['in a module of a module', (ours, embeddings) => [ours, within(within(embeddings))]],
  ['above the pools', (ours, embeddings) => [embeddings, within(within(ours))]],
];

function within(imported: DynamicModule): DynamicModule {
  return { module: class Feature {}, imports: [imported] };
}

describe('an application that ends', () => {
  it.each(arrangements)('has all answered that was under way, with the service %s', async (_where, arranged) => {
    const gate = new Gate();
    const server = await serverOf(() => gate.reply);
    const embeddings = EmbeddingModule.forRoot({ pool: 'embeddings', model: MODEL, batchSize: 1 });
    const app = await boot({ imports: arranged(pools({ embeddings: server }), embeddings) });
    const service = app.get(EmbeddingService);
    // Four are under way, the others wait for these.
    const calls = Promise.allSettled(texts(20).map((text) => service.embed(text)));
    const many = Promise.allSettled([service.embedMany(texts(40).slice(20))]);
    const stream = Promise.allSettled([all(service.embedStream(texts(60).slice(40), { chunkSize: 5 }))]);
    await eventually(() => server.inFlight === 4, 'four are under way');
    let isClosed = false;
    const closed = app.close().then(() => (isClosed = true));
    for (let step = 0; step < 20; step += 1) await turn();
    expect(isClosed).toBe(false);
    while (!isClosed) {
      gate.open();
      await turn();
    }
    await closed;
    const outcomes = [...(await calls), ...(await many), ...(await stream)];
    expect(outcomes.filter(({ status }) => status === 'rejected')).toEqual([]);
    expect(await failure(service.embed('too late'))).toMatchObject({ code: 'EMBEDDING_ABORTED' });
    await eventually(() => server.sockets.size === 0, 'no socket is left');
  });

  it('ends at once where nothing is under way', async () => {
    const clock = new ManualClock();
    const server = await serverOf();
    const service = serviceOf(poolAt(server.url), {}, { clock });
    await service.embed('a');
    await service.onApplicationShutdown();
    expect(clock.pendingTimers).toBe(0);
  });

  it('does not wait for ever for what does not end', async () => {
    const clock = new ManualClock();
    const server = await serverOf(() => SILENCE);
    const service = serviceOf(poolAt(server.url), {}, { clock });
    const call = failure(service.embed('a'));
    await eventually(() => server.inFlight === 1, 'it is under way');
    let isOver = false;
    const over = service.onApplicationShutdown().then(() => (isOver = true));
    await clock.advance(9_999);
    expect(isOver).toBe(false);
    await clock.advance(1);
    await over;
    expect(await call).toMatchObject({ code: 'EMBEDDING_ABORTED' });
    expect(clock.pendingTimers).toBe(0);
  });
});
