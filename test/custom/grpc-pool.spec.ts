import { status } from '@grpc/grpc-js';
import { ConnectionPool, ConnectionCreateError, type PoolLimits } from 'nestjs-pools/core';
import { inspect } from 'node:util';
import { eventually } from '../support/http-server.js';
import { grpcPool } from './examples/grpc-pool.js';
import { insecure, spell, translate, Translation, type TranslationClient, TranslationServer } from './grpc-server.js';

type Pool = ConnectionPool<TranslationClient>;

const pools: Pool[] = [];
let server: TranslationServer;

beforeEach(async () => {
  server = new TranslationServer(1);
  await server.start();
});

afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.close()));
  server.kill();
});

function open(limits: PoolLimits & { checkHealth?: boolean } = {}): Pool {
  const definition = grpcPool({
    client: Translation,
    address: server.address,
    credentials: insecure,
    minConnections: 0,
    ...limits,
  });
  const { factory } = definition;
  const pool = definition.createPool({ name: 'translation', factory, ...definition.limits });
  pools.push(pool);
  return pool;
}

describe('A pool of gRPC channels', () => {
  it('carries unary calls and streams of answers', async () => {
    const pool = open();
    expect(await pool.use((client) => translate(client, 'hello'))).toBe('HELLO');
    expect(await pool.use((client) => spell(client, 'abc'))).toEqual(['a', 'b', 'c']);
    expect(pool.stats().created).toBe(1);
  });

  it('has as many calls under way as it has channels, where one channel has but one', async () => {
    const one = open({ maxConnections: 1 });
    await one.use((client) => Promise.all([1, 2, 3, 4].map(() => translate(client, 'x', 20))));
    expect(server.mostCalls).toBe(1);

    const four = open({ maxConnections: 4 });
    await Promise.all([1, 2, 3, 4].map(() => four.use((client) => translate(client, 'x', 100))));
    expect(server.mostCalls).toBe(4);
    expect(server.peers.size).toBe(1 + 4);
  });

  it('keeps a channel whose call has missed its deadline', async () => {
    const pool = open({ maxConnections: 1 });
    const late = pool.use((client) => translate(client, 'x', 10_000, { deadline: Date.now() + 50 }));
    await expect(late).rejects.toMatchObject({ code: status.DEADLINE_EXCEEDED });
    expect(await pool.use((client) => translate(client, 'again'))).toBe('AGAIN');
    expect(pool.stats().created).toBe(1);
  });

  it('drops idle channels when the server goes, and opens others when it is back', async () => {
    const pool = open();
    await Promise.all([1, 2].map(() => pool.use((client) => translate(client, 'x', 20))));
    await server.stopPolitely();
    await eventually(() => pool.stats().totalConnections === 0, 'both are gone');
    expect(pool.stats().destroyed.broken).toBe(2);
    await server.start();
    expect(await pool.use((client) => translate(client, 'back'))).toBe('BACK');
  });

  it('tells a borrower whose server is killed, and does not lend its channel again', async () => {
    const pool = open({ maxConnections: 1 });
    const lease = await pool.acquire();
    const call = translate(lease.connection, 'x', 10_000);
    await eventually(() => server.calls === 1, 'the call has arrived');
    server.kill();
    await expect(call).rejects.toMatchObject({ code: status.CANCELLED });
    await eventually(() => lease.signal.aborted, 'the borrower is told');
    lease.release();
    await server.start();
    expect(await pool.use((client) => translate(client, 'back'))).toBe('BACK');
    expect(pool.stats()).toMatchObject({ created: 2, destroyed: { broken: 1 } });
  });

  it('fails at once where nobody listens, with the reason', async () => {
    server.kill();
    const pool = open();
    const error = await pool.acquire().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ConnectionCreateError);
    expect(String(error)).toMatch(/could not open a connection: UNAVAILABLE/);
  });

  it('asks the health service where it is told to, and believes it', async () => {
    const pool = open({ checkHealth: true, validateAfterIdleMs: 0, acquireTimeoutMs: 300 });
    await pool.use((client) => translate(client, 'x'));
    await pool.use((client) => translate(client, 'x'));
    expect(server.healthChecks).toBeGreaterThan(0);
    expect(pool.stats().created).toBe(1);
    server.isServing = false;
    await pool.use((client) => translate(client, 'x')); // over a new one
    expect(pool.stats()).toMatchObject({ created: 2, destroyed: { unhealthy: 1 } });
  });

  it('says where it leads', () => {
    const definition = grpcPool({ client: Translation, address: server.address, credentials: insecure });
    expect(definition.describe()).toBe(`grpc://${server.address}`);
    expect(inspect(definition)).not.toMatch(/password/);
  });
});
