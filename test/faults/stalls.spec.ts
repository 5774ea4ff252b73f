import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ConnectionPool } from 'nestjs-pools/core';
import { counts, destroyedBy, rig, watch } from '../core/rig.js';

const EIGHT_HOURS_MS = 8 * 3_600_000;

describe('after the machine was suspended', () => {
  it('P01: what lay idle through it is checked before it is lent, though no timer told the pool', async () => {
    const limits = { minConnections: 2, maxLifetimeMs: Infinity, maxIdleTimeMs: Infinity };
    const { pool, factory, clock } = rig({ ...limits, hooks: ['isHealthy'] });
    await pool.start();
    factory.hold('isHealthy');
    clock.stall(EIGHT_HOURS_MS);
    const waiter = watch(pool.acquire());
    expect([pool.tryAcquire(), counts(pool)]).toEqual([undefined, { idle: 1, checking: 1, waiting: 1 }]);
    const checked = factory.next('isHealthy');
    checked.pass(false);
    factory.letPass('isHealthy');
    await clock.advance(0);
    expect([waiter.is, waiter.value?.connection === checked.connection]).toEqual(['resolved', false]);
    expect(destroyedBy(pool)).toEqual({ unhealthy: 1 });
  });

  it('P02: what outlived its lifetime through it is not lent, and the minimum is opened anew', async () => {
    const { pool, clock } = rig({ minConnections: 2 });
    await pool.start();
    clock.stall(EIGHT_HOURS_MS);
    expect((await pool.acquire()).connection.id).toBeGreaterThan(2);
    await clock.advance(0);
    expect([counts(pool), destroyedBy(pool)]).toEqual([{ active: 1, idle: 1 }, { lifetime: 2 }]);
  });

  it('P03: who waits is served by a return that comes with the wake, though the deadline passed meanwhile', async () => {
    const { pool, clock } = rig({ maxConnections: 1, acquireTimeoutMs: 1_000, maxLifetimeMs: Infinity });
    const lease = await pool.acquire();
    const waiter = watch(pool.acquire());
    clock.stall(EIGHT_HOURS_MS);
    // The turn after the one in which the late timer fires: that of the I/O that piled up.
    setImmediate(() => setImmediate(() => lease.release()));
    await clock.advance(0);
    await clock.advance(10);
    expect(waiter.is).toBe('resolved');
  });

  it('P04: who waits in vain is told after it, without waiting all over again', async () => {
    const { pool, clock } = rig({ maxConnections: 1, acquireTimeoutMs: 1_000 });
    await pool.acquire();
    const waiter = watch(pool.acquire());
    clock.stall(EIGHT_HOURS_MS);
    await clock.advance(0);
    await clock.advance(100);
    expect(waiter.error).toMatchObject({ code: 'POOL_ACQUIRE_TIMEOUT' });
  });
});

describe('after the event loop was blocked', () => {
  let server: ChildProcess;
  let port: number;

  beforeAll(async () => {
    // Another process: it must answer while this one is blocked.
    const echo = `
      const server = require('node:net').createServer((socket) => {
        socket.on('data', (data) => setTimeout(() => socket.write(data), 20)).on('error', () => {});
      });
      server.listen(0, '127.0.0.1', () => console.log(server.address().port));
    `;
    server = spawn(process.execPath, ['--eval', echo], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [text] = (await once(server.stdout!, 'data')) as [Buffer];
    port = Number(text.toString());
  });

  afterAll(async () => {
    const ended = once(server, 'close');
    server.kill('SIGKILL');
    await ended;
  });

  it.each(['a timer', 'an immediate'])(
    'P05: an answer that lies in the kernel by then is served before the deadline that passed (blocked in %s)',
    async (where) => {
      const pool = new ConnectionPool<Socket>({
        name: 'blocked',
        minConnections: 0,
        maxConnections: 1,
        factory: {
          create: async ({ broken }) => {
            const socket = connect(port, '127.0.0.1').on('error', broken);
            await once(socket, 'connect');
            return socket;
          },
          destroy: async (socket) => {
            const closed = once(socket, 'close');
            socket.destroy();
            await closed;
          },
        },
      });
      const asking = pool.use(async (socket) => {
        socket.write('question');
        await once(socket, 'data');
      });
      while (pool.stats().activeConnections === 0) await nextTurn();
      const waiter = watch(pool.acquire({ acquireTimeoutMs: 200 }));
      await new Promise<void>((resolve) => {
        const block = (): void => {
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 600);
          resolve();
        };
        if (where === 'a timer') setTimeout(block, 1);
        else setImmediate(block);
      });
      await asking;
      await nextTurn();
      await nextTurn();
      const outcome = waiter.is;
      waiter.value?.release();
      await pool.close({ timeoutMs: 0 });
      expect(outcome).toBe('resolved');
    },
  );
});
