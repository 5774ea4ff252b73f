import { connect, createServer } from 'node:net';
import { FaultProxy } from '../support/fault-proxy.mjs';
import { describeWith, findPostgres } from '../support/services.js';
import { failure, pidOf, Rig, until } from './rig.js';

const found = await findPostgres();

describeWith(found, 'a query with an AbortSignal', (server) => {
  const rig = new Rig(server, 'cancel');
  const closers: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    await rig.closePools();
    await Promise.all(closers.splice(0).map((close) => close()));
    await until(async () => (await rig.sessions()).length === 0, 'the server has no session of ours');
  });

  const isRunning = async (): Promise<boolean> => (await rig.sessions()).some(({ state }) => state === 'active');

  it('rejects with the signal’s reason at once, is cancelled on the server, and its connection serves on', async () => {
    const pool = rig.pool({ maxConnections: 1 });
    const pid = await pool.use(pidOf);
    const stop = new AbortController();
    const query = failure(pool.query('SELECT pg_sleep(60)', [], { signal: stop.signal }));
    await until(isRunning, 'it runs');
    const reason = new Error('enough');
    stop.abort(reason);
    expect(await query).toBe(reason);
    expect(pool.stats().activeConnections).toBe(1);
    expect(await pool.use(pidOf)).toBe(pid);
    expect(pool.stats()).toMatchObject({ created: 1, totalConnections: 1 });
    expect(await isRunning()).toBe(false);
  });

  it('sends nothing when the signal aborts while it waits for a connection, and says so by another error', async () => {
    const pool = rig.pool({ maxConnections: 1 });
    const lease = await pool.acquire();
    const stop = new AbortController();
    const query = failure(pool.query('SELECT 1', [], { signal: stop.signal }));
    stop.abort(new Error('enough'));
    expect(await query).toMatchObject({ code: 'POOL_ACQUIRE_ABORTED', cause: { message: 'enough' } });
    lease.release();
    const aborted = failure(pool.query('SELECT 1', [], { signal: AbortSignal.abort() }));
    expect(await aborted).toMatchObject({ code: 'POOL_ACQUIRE_ABORTED' });
  });

  it('is an ordinary query as long as nobody aborts', async () => {
    const pool = rig.pool();
    const { signal } = new AbortController();
    expect((await pool.query('SELECT $1::text AS t', ['a'], { signal })).rows).toEqual([{ t: 'a' }]);
    expect(await failure(pool.query('SELECT 1 / 0', [], { signal }))).toMatchObject({ code: '22012' });
    await until(() => pool.stats().idleConnections === 1, 'it is back');
    expect(pool.stats().created).toBe(1);
  });

  it('never ends the next borrower’s query, however late the cancel request comes', async () => {
    const pool = rig.pool({ maxConnections: 2 });
    let ended = 0;
    const cancelled = async (round: number): Promise<void> => {
      // Aborted about when the query ends by itself, before, after and at the same time.
      const signal = AbortSignal.timeout(1 + (round % 7));
      await pool.query('SELECT pg_sleep(0.004)', [], { signal }).then(
        () => (ended += 1),
        (error: Error) => expect(['TimeoutError', 'AcquireAbortedError']).toContain(error.name),
      );
    };
    const plain = async (): Promise<void> => {
      expect((await pool.query<{ n: number }>('SELECT pg_sleep(0.001)::text, 1 AS n')).rows[0]!.n).toBe(1);
    };
    for (let round = 0; round < 25; round += 1) {
      await Promise.all([cancelled(round), plain(), cancelled(round + 3), plain()]);
    }
    expect(pool.stats().created).toBeLessThanOrEqual(2);
    expect(ended).toBeLessThan(50);
  }, 20_000);

  it('keeps the connection until the cancel request has been delivered', async () => {
    const slow = await FaultProxy.start(server);
    closers.push(() => slow.stop());
    const pool = rig.pool({ host: slow.host, port: slow.port, maxConnections: 1 });
    const stop = new AbortController();
    const query = failure(pool.query('SELECT pg_sleep(0.2)', [], { signal: stop.signal }));
    await until(isRunning, 'it runs');
    slow.mode = 'stall';
    stop.abort(new Error('enough'));
    await query;
    // By now it has ended by itself, and the request is still on its way.
    await until(async () => !(await isRunning()), 'it has ended');
    expect(pool.stats()).toMatchObject({ activeConnections: 1, idleConnections: 0 });
    const next = pool.query<{ n: number }>("SELECT pg_sleep(0.1), 'n' AS n");
    slow.mode = 'ok';
    expect((await next).rows[0]!.n).toBe('n');
    expect(pool.stats().created).toBe(1);
  });

  it('loses its connection where the cancel request cannot be delivered, and the server is none the worse', async () => {
    const door = createServer((socket) => {
      const upstream = connect(server).on('error', () => socket.destroy());
      socket.on('error', () => {}).on('close', () => upstream.destroy());
      socket.pipe(upstream).pipe(socket);
    });
    await new Promise<void>((resolve) => door.listen(0, '127.0.0.1', resolve));
    const { port } = door.address() as { port: number };
    const pool = rig.pool({ host: '127.0.0.1', port, maxConnections: 1 });
    const stop = new AbortController();
    const query = failure(pool.query('SELECT pg_sleep(0.5)', [], { signal: stop.signal }));
    await until(isRunning, 'it runs');
    const shut = new Promise((resolve) => door.close(resolve));
    stop.abort(new Error('enough'));
    expect((await query).message).toBe('enough');
    await until(() => pool.stats().totalConnections === 0, 'the connection is closed');
    await shut;
    expect(pool.stats().destroyed.error).toBe(1);
  });

  it('gives the caller his error at once also when the network is half open', async () => {
    const proxy = await FaultProxy.start(server);
    closers.push(() => proxy.stop());
    const pool = rig.pool({ host: proxy.host, port: proxy.port, maxConnections: 1, destroyTimeoutMs: 100 });
    const stop = new AbortController();
    const query = failure(pool.query('SELECT pg_sleep(0.5)', [], { signal: stop.signal }));
    await until(isRunning, 'it runs');
    proxy.mode = 'half-open';
    stop.abort(new Error('enough'));
    expect((await query).message).toBe('enough');
    await pool.close({ timeoutMs: 0 });
    expect(pool.stats().totalConnections).toBe(0);
  });
});
