import { Inject, Injectable } from '@nestjs/common';
import { ConnectionPool, getPoolToken, PoolModule, PoolRegistry } from 'nestjs-pools';
import type { GatedConnection } from 'nestjs-pools/testing';
import { boot, closeAll, gatedPool, type GatedPool, logged } from '../support/nest-app.js';

afterEach(closeAll);

async function bootRegistry(): Promise<PoolRegistry> {
  const app = await boot({ imports: [PoolModule.forRoot({ pools: { documents: gatedPool() } })] });
  return app.get(PoolRegistry);
}

describe('PoolRegistry.create', () => {
  it('makes a pool at run time, starts it, lists it, and closes it with the application', async () => {
    const registry = await bootRegistry();
    const definition = gatedPool({ minConnections: 1 });
    const pool = registry.create('late', definition);
    expect([pool, pool.name]).toEqual([registry.get('late'), 'late']);
    await pool.ready();
    expect(registry.list().map(({ name }) => name)).toEqual(['documents', 'late']);
    expect(Object.keys(registry.stats())).toEqual(['documents', 'late']);
    await closeAll();
    expect([pool.state, definition.gate.open]).toEqual(['closed', []]);
  });

  it('gives the pool of the kind its own class', async () => {
    class Own extends ConnectionPool<GatedConnection> {
      readonly isOwn = true;
    }
    const registry = await bootRegistry();
    const definition = gatedPool();
    const pool = registry.create('own', { ...definition, createPool: (options) => new Own(options) });
    expect(pool.isOwn).toBe(true);
  });

  it('logs what such a pool tells', async () => {
    const registry = await bootRegistry();
    const definition = gatedPool({ minConnections: 0, downAfter: 1 });
    definition.gate.hold('create');
    const acquiring = registry.create('late', definition).acquire();
    definition.gate.next('create').fail(Object.assign(new Error(), { code: 'ECONNREFUSED' }));
    await expect(acquiring).rejects.toThrow('ECONNREFUSED');
    expect(logged).toContainEqual(expect.stringContaining('error Pool(late): a test upstream is down'));
  });

  it('refuses a name that is taken, one that is none, and what is no definition', async () => {
    const registry = await bootRegistry();
    expect(() => registry.create('documents', gatedPool())).toThrow('two pools of this name are registered');
    expect(() => registry.create('', gatedPool())).toThrow('name: expected a text');
    expect(() => registry.create('late', {} as never)).toThrow('late: expected what httpPool');
    expect(registry.has('late')).toBe(false);
  });

  it('refuses options that there are not, and values that cannot work', async () => {
    const registry = await bootRegistry();
    const options = { shutdwn: 'two-phase', shutdown: 'later' } as never;
    expect(() => registry.create('late', gatedPool(), options)).toThrow(
      /Pool "late": wrong options:\n {2}- shutdwn: no such option.*\n {2}- shutdown: expected 'two-phase' or 'close-on-destroy', got a text/s,
    );
    expect(registry.has('late')).toBe(false);
  });

  it('refuses when the application has ended, for nobody would close it', async () => {
    const registry = await bootRegistry();
    await closeAll();
    expect(() => registry.create('late', gatedPool())).toThrow('Pool "late": the application has ended');
  });
});

describe('PoolRegistry.remove', () => {
  it('takes a pool out at once, closes it, and frees its name when it is closed', async () => {
    const registry = await bootRegistry();
    const pool = registry.create('late', gatedPool());
    const lease = await pool.acquire();
    const removing = registry.remove('late');
    expect([registry.has('late'), pool.state]).toEqual([false, 'closed']);
    expect(() => registry.create('late', gatedPool())).toThrow('a pool of this name is still being removed');
    lease.release();
    expect((await removing).forced).toEqual([]);
    expect(registry.create('late', gatedPool()).state).toBe('open');
  });

  it('takes connections away after a time that it is given', async () => {
    const registry = await bootRegistry();
    const lease = await registry.create('late', gatedPool()).acquire();
    const { forced } = await registry.remove('late', { timeoutMs: 0 });
    expect([forced.length, lease.signal.aborted]).toEqual([1, true]);
  });

  it('refuses wrong options, and the pool stays where it is', async () => {
    const registry = await bootRegistry();
    const pool = registry.create('late', gatedPool());
    await expect(registry.remove('late', { timeoutMs: -1 })).rejects.toThrow('timeoutMs: expected');
    expect([registry.get('late') === pool, pool.state]).toEqual([true, 'open']);
  });

  it('refuses a pool that is injected somewhere, and one that there is not', async () => {
    const registry = await bootRegistry();
    await expect(registry.remove('documents')).rejects.toThrow('a module registered this pool');
    await expect(registry.remove('document')).rejects.toThrow('there is "documents" (did you mean documents?)');
    expect(registry.get<GatedPool>('documents').state).toBe('open');
  });

  it('is waited for by the end of the application', async () => {
    const app = await boot({ imports: [PoolModule.forRoot({ pools: { documents: gatedPool() } })] });
    const definition = gatedPool();
    const lease = await app.get(PoolRegistry).create('late', definition).acquire();
    const removing = app.get(PoolRegistry).remove('late');
    let hasEnded = false;
    const closing = app.close().then(() => (hasEnded = true));
    await new Promise((resolve) => setImmediate(resolve));
    expect([hasEnded, app.get<GatedPool>(getPoolToken('documents')).state]).toEqual([false, 'closed']);
    lease.release();
    await Promise.all([removing, closing]);
    expect(definition.gate.open).toEqual([]);
  });
});

describe('PoolRegistry.keyed', () => {
  it('makes a pool per key, logs it, and closes all with the application', async () => {
    const registry = await bootRegistry();
    const gates = new Map<string, ReturnType<typeof gatedPool>>();
    const tenants = registry.keyed('tenants', (tenant) => {
      const definition = gatedPool();
      gates.set(tenant, definition);
      return definition;
    });
    expect(await tenants.use('acme', ({ context }) => context.pool)).toBe('tenants/acme');
    expect(await tenants.use('other', ({ context }) => context.pool)).toBe('tenants/other');
    expect([registry.listKeyed(), registry.has('tenants')]).toEqual([[tenants], false]);
    const lease = await tenants.acquire('acme');
    lease.release();
    lease.release();
    expect(logged).toContainEqual(expect.stringContaining('warn Pool(tenants/acme): the lease of connection #1'));
    const states: string[] = [];
    await tenants.withPool('acme', (pool) => void pool.on('state', ({ to }) => states.push(to)));
    await closeAll();
    expect(states).toEqual(['draining', 'closed']);
    expect([...gates.values()].flatMap(({ gate }) => gate.open)).toEqual([]);
    await expect(tenants.acquire('acme')).rejects.toMatchObject({ code: 'POOL_CLOSED' });
  });

  it('is logged too where a key is used before the application has booted', async () => {
    @Injectable()
    class Early {
      constructor(@Inject(PoolRegistry) private readonly registry: PoolRegistry) {}
      async onModuleInit(): Promise<void> {
        const lease = await this.registry.keyed('tenants', () => gatedPool()).acquire('acme');
        lease.release();
        lease.release();
      }
    }
    await boot({ imports: [PoolModule.forRoot({ pools: { documents: gatedPool() } })], providers: [Early] });
    expect(logged).toContainEqual(expect.stringContaining('warn Pool(tenants/acme): the lease of connection #1'));
  });

  it('takes a name of its own', async () => {
    const registry = await bootRegistry();
    registry.keyed('tenants', () => gatedPool());
    expect(() => registry.keyed('tenants', () => gatedPool())).toThrow('two pools of this name are registered');
    expect(() => registry.create('tenants', gatedPool())).toThrow('two pools of this name are registered');
    expect(() => registry.keyed('documents', () => gatedPool())).toThrow('two pools of this name are registered');
  });
});
