import { type INestApplication, Module, type ModuleMetadata } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { HealthIndicatorService } from '@nestjs/terminus';
import { getPoolToken, PoolModule, PoolRegistry } from 'nestjs-pools';
import { PoolHealthIndicator, PoolHealthModule } from 'nestjs-pools/health';
import { GatedFactory } from 'nestjs-pools/testing';
import { eventually } from '../support/http-server.js';
import { gatedPool, type GatedPool } from '../support/nest-app.js';

let app: INestApplication;

async function start(
  pools: Record<string, ReturnType<typeof gatedPool>>,
  health: ModuleMetadata['imports'] = [PoolHealthModule],
): Promise<void> {
  @Module({ imports: [PoolModule.forRoot({ pools }), ...health] })
  class AppModule {}
  app = await NestFactory.create(AppModule, { logger: false });
  await app.listen(0, '127.0.0.1');
}

const poolOf = (name: string): GatedPool => app.get<GatedPool>(getPoolToken(name));

async function get(path: string): Promise<{ status: number; body: any }> {
  const answer = await fetch(`${await app.getUrl()}${path}`, { headers: { connection: 'close' } });
  return { status: answer.status, body: await answer.json() };
}

async function failToOpen(pool: GatedPool, gate: GatedFactory): Promise<void> {
  const acquiring = pool.acquire().catch(() => undefined);
  gate.next('create').fail(Object.assign(new Error('at a secret host'), { code: 'ECONNREFUSED' }));
  await acquiring;
}

afterEach(() => app.close());

describe('the health routes', () => {
  it('are live and ready when all pools can serve, and show their numbers', async () => {
    await start({ documents: gatedPool({ minConnections: 1, maxConnections: 4 }) });
    await poolOf('documents').ready();
    expect(await get('/health/live')).toEqual({
      status: 200,
      body: { status: 'ok', info: {}, error: {}, details: {} },
    });
    const { status, body } = await get('/health/ready');
    expect(status).toBe(200);
    expect(body.details.documents).toEqual({
      status: 'up',
      state: 'open',
      totalConnections: 1,
      idleConnections: 1,
      activeConnections: 0,
      waiting: 0,
      maxConnections: 4,
    });
  });

  it('answer 503 for readiness while an upstream is down, but stay live, and name the error without its message', async () => {
    const documents = gatedPool({ minConnections: 0, closeTimeoutMs: 0 });
    documents.gate.hold('create');
    await start({ documents, other: gatedPool() });
    await failToOpen(poolOf('documents'), documents.gate);
    const { status, body } = await get('/health/ready');
    expect([status, body.status, Object.keys(body.error)]).toEqual([503, 'error', ['documents']]);
    expect(body.error.documents).toMatchObject({ status: 'down', message: 'cannot open a connection: ECONNREFUSED' });
    expect(JSON.stringify(body)).not.toContain('secret');
    expect((await get('/health/live')).status).toBe(200);
  });

  it('come back without traffic, even for a pool without a minimum: a check that finds it down tries', async () => {
    const documents = gatedPool({ minConnections: 0, closeTimeoutMs: 0 });
    documents.gate.hold('create');
    await start({ documents });
    await failToOpen(poolOf('documents'), documents.gate);
    expect((await get('/health/ready')).status).toBe(503);
    expect((await get('/health/ready')).status).toBe(503);
    expect(documents.gate.waiting('create')).toBe(1);
    const opened = new Promise((resolve) => poolOf('documents').on('release', resolve));
    documents.gate.next('create').pass();
    await opened;
    expect((await get('/health/ready')).status).toBe(200);
  });

  it('answer 200 but degraded while all connections are in use and acquires wait', async () => {
    await start({ documents: gatedPool({ maxConnections: 1 }) });
    const lease = await poolOf('documents').acquire();
    const waiting = poolOf('documents').use(() => 'done');
    const { status, body } = await get('/health/ready');
    expect([status, body.status]).toEqual([200, 'degraded']);
    expect(body.details.documents).toMatchObject({ status: 'degraded', waiting: 1, activeConnections: 1 });
    lease.release();
    await waiting;
  });

  it('are not ready while the application shuts down, though its pools still serve', async () => {
    let goOn!: () => void;
    const mayGoOn = new Promise<void>((resolve) => (goOn = resolve));
    class Slow {
      beforeApplicationShutdown(): Promise<void> {
        return mayGoOn;
      }
    }
    await start({ documents: gatedPool() }, [PoolHealthModule, { module: Slow }]);
    const closing = app.close();
    await eventually(() => app.get(PoolRegistry).isShuttingDown, 'it shuts down');
    const { status, body } = await get('/health/ready');
    expect([status, body.error.documents]).toMatchObject([503, { message: 'shutting down', state: 'open' }]);
    expect(await poolOf('documents').use(() => 'served')).toBe('served');
    goOn();
    await closing;
  });

  it('are not ready when a pool drains', async () => {
    await start({ documents: gatedPool() });
    poolOf('documents').drain();
    const { status, body } = await get('/health/ready');
    expect([status, body.error.documents.message]).toEqual([503, 'shutting down']);
  });

  it('stand at another path, or nowhere, when told to', async () => {
    await start({ documents: gatedPool() }, [PoolHealthModule.forRoot({ path: 'internal/health' })]);
    expect((await get('/internal/health/ready')).status).toBe(200);
    expect((await get('/health/ready')).status).toBe(404);
    await app.close();
    await start({ documents: gatedPool() }, [PoolHealthModule.forRoot({ path: false })]);
    expect((await get('/health/ready')).status).toBe(404);
    expect(app.get(PoolHealthIndicator, { strict: false }).checkAll()).toMatchObject({ documents: { status: 'up' } });
  });
});

describe('PoolHealthIndicator', () => {
  it('shows a pool under a key of its own', async () => {
    await start({ documents: gatedPool() });
    expect(app.get(PoolHealthIndicator, { strict: false }).isHealthy('store', 'documents')).toMatchObject({
      store: { status: 'up' },
    });
  });

  it('never throws: a pool that nobody registered is down, and says so', async () => {
    await start({ documents: gatedPool() });
    const { nope } = app.get(PoolHealthIndicator, { strict: false }).isHealthy('nope');
    expect(nope).toEqual({ status: 'down', message: 'Pool "nope": no pool of this name; there is "documents"' });
  });

  it('is up with a flag where Terminus 11 knows no degraded', async () => {
    await start({ documents: gatedPool({ maxConnections: 1 }) });
    const terminus12 = app.get(HealthIndicatorService, { strict: false });
    const terminus11 = {
      check: (key: string) => {
        const check = terminus12.check(key);
        return { up: (data: object) => check.up(data as never), down: (data: object) => check.down(data as never) };
      },
    };
    const indicator = new PoolHealthIndicator(terminus11 as unknown as HealthIndicatorService, app.get(PoolRegistry));
    const lease = await poolOf('documents').acquire();
    const waiting = poolOf('documents').use(() => 'done');
    expect(indicator.isHealthy('documents')).toMatchObject({ documents: { status: 'up', degraded: true } });
    lease.release();
    await waiting;
  });
});
