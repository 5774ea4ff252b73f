import { EventEmitter, getEventListeners } from 'node:events';
import type { ConnectionFactory } from 'nestjs-pools/core';
import { counts, destroyedBy, failureOf, poolOf, record, rig, watch } from '../core/rig.js';

describe('user code that comes back into the pool', () => {
  it('P06: many acquires on one long-lived signal leave no listener on it, however they end', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 1 });
    const { signal } = new AbortController();
    const listening = (): number => getEventListeners(signal, 'abort').length;
    const lease = await pool.acquire({ signal });
    const waiters = [10, 20, 9_000].map((acquireTimeoutMs) => watch(pool.acquire({ signal, acquireTimeoutMs })));
    expect(listening()).toBe(3);
    await clock.advance(20);
    expect([waiters.map(({ is }) => is), listening()]).toEqual([['rejected', 'rejected', 'pending'], 1]);
    lease.release();
    await clock.advance(0);
    expect([waiters[2]!.is, listening()]).toEqual(['resolved', 0]);
    factory.hold('create');
    waiters[2]!.value!.destroy();
    const failing = watch(pool.acquire({ signal }));
    await clock.advance(0);
    factory.next('create').fail(new Error('refused'));
    const closing = watch(pool.acquire({ signal }));
    await clock.advance(0);
    await pool.close({ timeoutMs: 0 });
    expect([failing.is, closing.is, listening()]).toEqual(['rejected', 'rejected', 0]);
  });

  it('P07: a release from inside the event of that very release is told as misuse and does nothing', async () => {
    const { pool } = rig({ maxConnections: 1 });
    const log = record(pool);
    const lease = await pool.acquire();
    pool.on('release', () => lease.release());
    lease.release();
    expect(counts(pool)).toEqual({ idle: 1 });
    expect(log.filter((line) => /release|misuse/.test(line))).toEqual(['release 1', 'misuse 1']);
  });

  it('P08: a close from inside create is told to the one who waits, and what was created is closed', async () => {
    const closed: unknown[] = [];
    let closing: { is: string } | undefined;
    const { pool, clock } = poolOf<string>({
      create: () => {
        closing = watch(pool.close());
        return 'mine';
      },
      destroy: (connection) => void closed.push(connection),
    });
    expect((await failureOf(pool.acquire())).code).toBe('POOL_CLOSED');
    await clock.advance(0);
    expect([closing!.is, closed, clock.pendingTimers]).toEqual(['resolved', ['mine'], 0]);
  });

  it('P09: an error event during its check ends a connection, though the check then says that it is healthy', async () => {
    const made: EventEmitter[] = [];
    const { pool, clock } = poolOf<EventEmitter>(
      {
        create: ({ broken }) => {
          made.push(new EventEmitter().on('error', broken));
          return made.at(-1)!;
        },
        isHealthy: (connection) => {
          connection.emit('error', new Error('reset by peer'));
          return true;
        },
      },
      { maxConnections: 1, validateAfterIdleMs: 10 },
    );
    (await pool.acquire()).release();
    await clock.advance(11);
    const lease = await pool.acquire();
    expect([lease.connection === made[1], destroyedBy(pool)]).toEqual([true, { broken: 1 }]);
  });

  it('P10: functions put into the factory later, as tracing does, are used from then on', async () => {
    const log: string[] = [];
    let made = 0;
    const factory = {
      create: (): number => (made += 1),
      destroy: (one: number): void => void log.push(`plain destroy ${one}`),
    };
    const { pool, clock } = poolOf<number>(factory, { maxConnections: 1 });
    (await pool.acquire()).release();
    const { create, destroy } = factory;
    factory.create = () => {
      log.push('traced create');
      return create();
    };
    factory.destroy = (one) => {
      log.push(`traced destroy ${one}`);
      destroy(one);
    };
    (await pool.acquire()).destroy();
    await clock.advance(0);
    expect((await pool.acquire()).connection).toBe(2);
    expect(log).toEqual(['traced destroy 1', 'plain destroy 1', 'traced create']);
  });

  it.each(['create', 'isHealthy', 'reset', 'destroy'])(
    'P11: a factory that lost its %s at run time fails there and loses no place',
    async (hook) => {
      let made = 0;
      const factory: Record<string, unknown> & { create: () => number } = {
        create: () => (made += 1),
        isHealthy: () => true,
        reset: () => undefined,
        destroy: () => undefined,
      };
      const { pool, clock } = poolOf<number>(factory, { maxConnections: 1, validateAfterIdleMs: 10 });
      (await pool.acquire()).release();
      const whole = factory[hook];
      factory[hook] = 'no function';
      for (let round = 0; round < 3; round += 1) {
        await clock.advance(11);
        const lease = await pool.acquire().catch(() => undefined);
        if (hook === 'isHealthy' || hook === 'reset') lease?.release();
        else lease?.destroy();
      }
      factory[hook] = whole;
      await clock.advance(30_000);
      const lease = await pool.acquire();
      expect(counts(pool)).toEqual({ active: 1 });
      lease.release();
      await pool.close();
      expect([counts(pool), clock.pendingTimers]).toEqual([{}, 0]);
    },
  );

  it('P12: a connection that has a then method, as a lazy query has, is lent as it is and not run', async () => {
    const run: string[] = [];
    const factory: ConnectionFactory<{ then?: (resolve: (rows: string) => void) => void }> = { create: () => ({}) };
    const { pool } = poolOf(factory, { maxConnections: 1 });
    const first = await pool.acquire();
    const { connection } = first;
    // oxlint-disable-next-line no-thenable
    connection.then = (resolve) => resolve(`rows ${run.push('run')}`);
    first.release();
    const lease = await pool.acquire();
    expect(lease.connection).toBe(connection);
    lease.release();
    expect(await pool.use((own) => own === connection)).toBe(true);
    expect((await pool.acquire()).detach()).toBe(connection);
    expect(run).toEqual([]);
  });

  it('P13: what fails in the code of a borrower reaches that borrower, and nobody else', async () => {
    const { pool } = rig({ maxConnections: 1 });
    const log = record(pool);
    const mine = new Error('mine');
    const first = pool.acquire().then((lease) => {
      lease.release();
      throw mine;
    });
    const second = pool.use(() => Promise.reject(mine));
    const third = pool.use(({ id }) => id);
    expect(await Promise.all([failureOf(first), failureOf(second), third])).toEqual([mine, mine, 1]);
    expect(log.filter((line) => /hookError|misuse/.test(line))).toEqual([]);
  });
});
