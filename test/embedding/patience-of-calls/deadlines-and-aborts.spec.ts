import type { EmbeddingOptions, EmbeddingService, EmbedOptions, VectorCache } from 'nestjs-pools/embedding';
import type { HttpPool, HttpPoolOptions } from 'nestjs-pools/http';
import { ManualClock } from 'nestjs-pools/testing';
import type { EmbeddingServer, Reply, Script } from '../../support/embedding-server.js';
import { eventually } from '../../support/http-server.js';
import { SilentAddress } from '../../support/silent-address.js';
import { atEnd, failure, Gate, HALF, poolAt, serverOf, serviceOf, SILENCE, tidyUp, turn } from './rig.js';

afterEach(tidyUp);

/** A service with a call that waits at some place, and with what its server has seen. */
interface Waiting {
  readonly service: EmbeddingService;
  readonly pool: HttpPool;
  readonly clock: ManualClock;
  /** Connections that others have. */
  readonly others: number;
  readonly call: (options: EmbedOptions) => Promise<unknown>;
  readonly arrived: () => boolean;
}

interface Plan {
  readonly script?: Script;
  readonly url?: string;
  readonly pool?: Partial<HttpPoolOptions>;
  readonly options?: Partial<EmbeddingOptions>;
}

async function plan({ script, url, pool: poolOptions, options }: Plan) {
  const clock = new ManualClock();
  const server = url === undefined ? await serverOf(script) : undefined;
  const pool = poolAt(url ?? server!.url, poolOptions);
  const service = serviceOf(pool, options, { clock, random: () => 1 });
  const call = (own: EmbedOptions): Promise<unknown> => service.embed('a', own);
  return { service, pool, clock, server: server as EmbeddingServer, call, others: 0 };
}

const sent = (reply: Reply) => async (): Promise<Waiting> => {
  const made = await plan({ script: () => reply, pool: { maxConnections: 2 } });
  return { ...made, arrived: () => made.server.inFlight === 1 };
};

const slowStore: VectorCache = { getMany: () => new Promise(() => undefined), setMany: () => Promise.resolve() };

/** Every place at which a call may wait, and what it says it was doing there. */
const places: [string, string, () => Promise<Waiting>][] = [
  [
    "while the cache's store is asked",
    'asking the cache',
    async () => {
      const made = await plan({ options: { cache: { store: slowStore, storeTimeoutMs: 60_000 } } });
      return { ...made, arrived: () => made.service.stats().pendingCalls === 1 };
    },
  ],
  [
    'behind other requests',
    'waiting for a request under way to end',
    async () => {
      const made = await plan({ script: () => SILENCE, pool: { maxConnections: 1 }, options: { batchSize: 1 } });
      void made.service.embed('another').catch(() => undefined);
      await eventually(() => made.server.inFlight === 1, 'another is under way');
      return { ...made, others: 1, arrived: () => made.service.stats().pendingCalls === 2 };
    },
  ],
  [
    "in the pool's queue",
    'waiting for a connection',
    async () => {
      const made = await plan({ pool: { maxConnections: 1 } });
      const lease = await made.pool.acquire();
      atEnd(async () => lease.release());
      return { ...made, others: 1, arrived: () => made.pool.stats().waiting === 1 };
    },
  ],
  [
    'in the rate limit',
    'waiting for the rate limit',
    async () => {
      const made = await plan({ options: { rateLimit: { requestsPerMinute: 1, share: 1 } } });
      await made.service.embed('the first');
      return { ...made, arrived: () => made.service.stats().endpoints[0]!.held === 1 };
    },
  ],
  [
    'in a pause that a 429 has asked for, with a connection that came too late',
    'waiting for the rate limit',
    async () => {
      const gate = new Gate();
      const options = { adaptiveConcurrency: false, retry: false, batchSize: 1 } as const;
      const made = await plan({ script: () => gate.reply, pool: { maxConnections: 2 }, options });
      const lease = await made.pool.acquire();
      atEnd(async () => lease.release());
      const refused = failure(made.service.embed('the first'));
      await eventually(() => made.server.inFlight === 1, 'the first is under way');
      const call = async (own: EmbedOptions): Promise<unknown> => {
        const work = made.call(own);
        await eventually(() => made.pool.stats().waiting === 1, 'it is queued');
        gate.refuse(429, { 'retry-after-ms': '50000' });
        await refused;
        return work;
      };
      const { pool, service } = made;
      const arrived = (): boolean => service.stats().pendingCalls === 1 && pool.stats().activeConnections === 1;
      return { ...made, others: 1, call, arrived };
    },
  ],
  [
    'before the next attempt',
    'waiting 5000 ms before attempt 2',
    async () => {
      const made = await plan({
        script: () => ({ error: [503, 'overloaded'] }),
        options: { retry: { initialMs: 5_000 } },
      });
      // A pause that none of its callers would outlast is not made; this one's can wait.
      const call = (own: EmbedOptions): Promise<unknown> => {
        void made.service.embed('patient').catch(() => undefined);
        return made.call(own);
      };
      const arrived = (): boolean => {
        const { requests, inFlight } = made.service.stats().endpoints[0]!;
        return requests > 0 && inFlight === 0;
      };
      return { ...made, call, arrived };
    },
  ],
  [
    'while it connects',
    'waiting for a connection',
    async () => {
      const silent = await SilentAddress.start('127.0.0.1');
      atEnd(() => silent.stop());
      const made = await plan({ url: `http://127.0.0.1:${silent.port}/v1`, pool: { createTimeoutMs: 60_000 } });
      return { ...made, arrived: () => made.pool.stats().creatingConnections === 1 };
    },
  ],
  ['for the head of the answer', 'waiting for an answer', sent(SILENCE)],
  ['in the body of the answer', 'waiting for an answer', sent(HALF)],
];

describe('A6: the deadline of a call', () => {
  it.each(places)('holds %s, and says so', async (_where, doing, make) => {
    const { service, pool, clock, call, arrived, others } = await make();
    const error = failure(call({ deadlineMs: 1_000 }));
    await eventually(arrived, 'it waits there');
    await clock.advance(999);
    const waiting = service.stats().pendingCalls;
    await clock.advance(1);
    expect(service.stats().pendingCalls).toBe(waiting - 1);
    expect(await error).toMatchObject({
      code: 'EMBEDDING_TIMEOUT',
      phase: 'deadline',
      message: `the texts were not embedded within 1000 ms (${doing})`,
    });
    await eventually(() => pool.stats().activeConnections === others, 'the connection is back');
    expect(pool.stats().waiting).toBe(0);
  });

  it('is not waited for where no further attempt would be made before it', async () => {
    const { service, clock, server } = await plan({ script: () => ({ error: [503, 'overloaded'] }) });
    expect(await failure(service.embed('a', { deadlineMs: 500 }))).toMatchObject({ status: 503 });
    expect(server.requests).toHaveLength(1);
    expect(clock.pendingTimers).toBe(0);
  });

  it('has the last failure for its cause', async () => {
    const { service, clock } = await plan({ script: () => ({ error: [503, 'overloaded'] }) });
    const patient = failure(service.embed('b', { deadlineMs: 100_000 }));
    const hasty = failure(service.embed('a', { deadlineMs: 400 }));
    await eventually(() => service.stats().endpoints[0]!.requests > 0, 'they have been sent');
    await eventually(() => service.stats().endpoints[0]!.inFlight === 0, 'they wait');
    await clock.advance(400);
    expect(await hasty).toMatchObject({ phase: 'deadline', cause: { status: 503 } });
    await service.close();
    expect(await patient).toMatchObject({ code: 'EMBEDDING_ABORTED' });
  });
});

describe("A12: the caller's signal", () => {
  it('ends a call before it has begun', async () => {
    const { service, pool, server } = await plan({});
    const error = await failure(service.embed('a', { signal: AbortSignal.abort(new Error('never mind')) }));
    expect(error).toMatchObject({ code: 'EMBEDDING_ABORTED', cause: { message: 'never mind' } });
    await turn();
    expect(pool.stats().totalConnections).toBe(0);
    expect(server.requests).toHaveLength(0);
  });

  it.each(places)('ends it %s, at once and without a trace', async (_where, _doing, make) => {
    const { service, pool, clock, call, arrived, others } = await make();
    const controller = new AbortController();
    let settled: unknown;
    void call({ signal: controller.signal }).catch((error: unknown) => (settled = error));
    await eventually(arrived, 'it waits there');
    const waiting = service.stats().pendingCalls;
    controller.abort(new Error('never mind'));
    await turn();
    expect(settled).toMatchObject({ code: 'EMBEDDING_ABORTED', cause: { message: 'never mind' } });
    expect(service.stats().pendingCalls).toBe(waiting - 1);
    await eventually(() => pool.stats().activeConnections === others, 'the connection is back');
    expect(pool.stats().waiting).toBe(0);
    await service.close();
    expect(clock.pendingTimers).toBe(0);
    await eventually(() => service.stats().endpoints[0]!.inFlight === 0, 'no request is under way');
  });

  it('ends the request when its last caller has gone', async () => {
    const { service, pool, server } = await plan({ script: () => SILENCE });
    const controllers = [new AbortController(), new AbortController()];
    // The same text twice, and another one that shares its request.
    const errors = ['a', 'b', 'a'].map((text, index) =>
      failure(service.embed(text, { signal: controllers[index % 2]!.signal })),
    );
    await eventually(() => server.inFlight === 1, 'the request is there');
    expect(server.requests[0]!.texts).toEqual(['a', 'b']);
    controllers[0]!.abort();
    await turn();
    await turn();
    expect(server.sockets.size).toBe(1);
    expect(pool.stats().activeConnections).toBe(1);
    controllers[1]!.abort();
    await eventually(() => server.sockets.size === 0, 'the server sees it end');
    for (const error of await Promise.all(errors)) expect(error).toMatchObject({ code: 'EMBEDDING_ABORTED' });
    await eventually(() => pool.stats().activeConnections === 0, 'the connection is back');
  });

  it.each([
    ['shares a request with it', 'b'],
    ['waits for the same text', 'a'],
  ])('A5: does not end a call that %s', async (_how, text) => {
    const gate = new Gate();
    const { service, server } = await plan({ script: () => gate.reply });
    const controller = new AbortController();
    const gone = failure(service.embed('a', { signal: controller.signal }));
    const stays = service.embed(text);
    await eventually(() => server.inFlight === 1, 'the request is there');
    controller.abort();
    expect(await gone).toMatchObject({ code: 'EMBEDDING_ABORTED' });
    gate.open();
    expect(await stays).toHaveLength(8);
    expect(server.requests).toHaveLength(1);
  });

  it('A5: does not end a call that has joined it while it was queued', async () => {
    const gate = new Gate();
    const { service, server } = await plan({ script: () => gate.reply, pool: { maxConnections: 1 } });
    const first = service.embed('first');
    await eventually(() => server.inFlight === 1, 'the first is there');
    const controller = new AbortController();
    const gone = failure(service.embedMany(['a', 'b'], { signal: controller.signal }));
    const stays = service.embed('b');
    controller.abort();
    expect(await gone).toMatchObject({ code: 'EMBEDDING_ABORTED' });
    gate.open();
    await first;
    await eventually(() => server.inFlight === 1, 'the second is there');
    gate.open();
    expect(await stays).toHaveLength(8);
    expect(server.texts).toEqual(['first', 'b']);
  });

  it('leaves no pause behind that nobody waits in', async () => {
    const { service, clock, server } = await plan({ script: () => ({ error: [503, 'overloaded'] }) });
    const controller = new AbortController();
    const gone = failure(service.embed('a', { signal: controller.signal }));
    await eventually(() => service.stats().endpoints[0]!.requests > 0, 'it has been sent');
    await eventually(() => service.stats().endpoints[0]!.inFlight === 0, 'it waits');
    expect(clock.referencedTimers).toBe(1);
    controller.abort();
    await gone;
    expect(clock.referencedTimers).toBe(0);
    await clock.advance(60_000);
    expect(server.requests).toHaveLength(1);
  });

  it('does not send again what nobody waits for, though it shares a request with what is', async () => {
    let isDown = true;
    const { service, server, clock } = await plan({
      script: () => (isDown ? { error: [503, 'overloaded'] } : undefined),
    });
    const controller = new AbortController();
    const gone = failure(service.embed('a', { signal: controller.signal }));
    const stays = service.embed('b');
    await eventually(() => service.stats().endpoints[0]!.requests > 0, 'they have been sent');
    await eventually(() => service.stats().endpoints[0]!.inFlight === 0, 'they wait');
    controller.abort();
    await gone;
    isDown = false;
    await clock.advance(500);
    expect(await stays).toHaveLength(8);
    expect(server.texts).toEqual(['a', 'b', 'b']);
  });
});
