import 'reflect-metadata';
import { defer, lastValueFrom, Observable } from 'rxjs';
import { ConnectionPool, Leased, UsePool } from 'nestjs-pools';
import { GatedFactory, type GatedConnection } from 'nestjs-pools/testing';

type Pool = ConnectionPool<GatedConnection>;

const uses = UsePool<Nested>((self) => self.pool);
const joins = UsePool<Nested>((self) => self.pool, { nested: 'join' });

class Nested {
  constructor(
    readonly pool: Pool,
    readonly otherPool?: Pool,
  ) {}

  @uses
  async outer(inner: () => Promise<unknown>, @Leased() connection?: GatedConnection): Promise<unknown[]> {
    return [connection!.id, await inner()];
  }

  @uses
  async *outerRows(inner: () => Promise<unknown>, @Leased() connection?: GatedConnection): AsyncGenerator<unknown[]> {
    yield [connection!.id, await inner()];
    yield [connection!.id, await inner()];
  }

  @uses
  outerValues(inner: () => Promise<number>): Observable<number> {
    return defer(inner);
  }

  @UsePool<Nested>((self) => self.otherPool!)
  async under(inner: () => Promise<unknown>): Promise<unknown> {
    return inner();
  }

  @uses
  async another(@Leased() connection?: GatedConnection): Promise<number> {
    return connection!.id;
  }

  @joins
  async same(@Leased() connection?: GatedConnection): Promise<number> {
    return connection!.id;
  }

  @joins
  async slow(until: Promise<void>, @Leased() connection?: GatedConnection): Promise<number> {
    await until;
    return connection!.id;
  }

  @joins
  async *sameRows(@Leased() connection?: GatedConnection): AsyncGenerator<number> {
    yield connection!.id;
  }
}

const pools: Pool[] = [];
function nested(maxConnections = 2): Nested {
  const make = (name: string): Pool =>
    new ConnectionPool({
      name,
      factory: new GatedFactory(),
      maxConnections,
      detectDeadlock: true,
      acquireTimeoutMs: 50,
    });
  pools.push(make('documents'), make('other'));
  return new Nested(pools.at(-2)!, pools.at(-1));
}
afterEach(async () => {
  for (const pool of pools) expect(pool.stats().activeConnections).toBe(0);
  await Promise.all(pools.splice(0).map((pool) => pool.close()));
});

describe('a method under @UsePool that calls another one', () => {
  it('holds two leases, unless the inner one joins', async () => {
    const service = nested();
    expect(await service.outer(() => service.another())).toEqual([1, 2]);
    expect(await service.outer(() => service.same())).toEqual([expect.any(Number), expect.any(Number)]);
    const [mine, theirs] = (await service.outer(() => service.same())) as [number, number];
    expect(mine).toBe(theirs);
  });

  it('waits for itself with the last connection, and is told so at once; not where it joins', async () => {
    const service = nested(1);
    await expect(service.outer(() => service.another())).rejects.toMatchObject({ code: 'POOL_DEADLOCK' });
    expect(await service.outer(() => service.same())).toEqual([1, 1]);
    expect(await service.outer(async () => Promise.all([service.same(), service.same()]))).toEqual([1, [1, 1]]);
  });

  it('leases one where there is none to join', async () => {
    const service = nested(1);
    expect(await service.same()).toBe(1);
    expect(service.pool.stats().released).toBe(1);
  });

  it('joins through a lease of another pool', async () => {
    const service = nested(1);
    expect(await service.outer(() => service.under(() => service.same()))).toEqual([1, 1]);
  });

  it('joins from a generator, and into one', async () => {
    const service = nested(1);
    const rows: unknown[] = [];
    for await (const row of service.outerRows(() => service.same())) rows.push(row);
    expect(rows).toEqual([
      [1, 1],
      [1, 1],
    ]);
    await service.outer(async () => {
      for await (const id of service.sameRows()) expect(id).toBe(1);
    });
  });

  it('joins under an Observable', async () => {
    const service = nested(1);
    expect(await lastValueFrom(service.outerValues(() => service.same()))).toBe(1);
  });

  it('keeps the lease for one who joined and still works when the outer call has ended', async () => {
    const service = nested(1);
    let finish!: () => void;
    const until = new Promise<void>((resolve) => (finish = resolve));
    let left: Promise<number> | undefined;
    const answer = await service.outer(async () => {
      left = service.slow(until);
      return 'done';
    });
    expect(answer).toEqual([1, 'done']);
    expect(service.pool.stats().activeConnections).toBe(1);
    finish();
    expect(await left).toBe(1);
    await new Promise((resolve) => setImmediate(resolve));
    expect(service.pool.stats().activeConnections).toBe(0);
  });

  it('fails at once though one who joined still works', async () => {
    const service = nested(1);
    let finish!: () => void;
    const until = new Promise<void>((resolve) => (finish = resolve));
    let left: Promise<number> | undefined;
    const failing = service.outer(async () => {
      left = service.slow(until);
      throw new Error('the outer one failed');
    });
    await expect(failing).rejects.toThrow('the outer one failed');
    expect(service.pool.stats().activeConnections).toBe(1);
    finish();
    expect(await left).toBe(1);
    await new Promise((resolve) => setImmediate(resolve));
  });

  it('does not join a lease that was taken away', async () => {
    const service = nested(1);
    const inner = async (): Promise<unknown> => {
      await service.pool.close({ timeoutMs: 0 });
      return service.same();
    };
    await expect(service.outer(inner)).rejects.toMatchObject({ code: 'POOL_CLOSED' });
  });

  it('does not join one that has ended, of a stand-in that tells nothing of its leases', async () => {
    let uses = 0;
    const standIn = { use: (work: (connection: object) => unknown) => work({ id: (uses += 1) }) } as unknown as Pool;
    const service = new Nested(standIn);
    let go!: () => void;
    const gone = new Promise<void>((resolve) => (go = resolve));
    let later!: Promise<number>;
    await service.outer(async () => {
      later = gone.then(() => service.same());
      return undefined;
    });
    go();
    expect([await later, uses]).toEqual([2, 2]);
  });

  it('leases its own when the lease that it was called under has ended', async () => {
    const service = nested(1);
    let later!: () => Promise<number>;
    await service.outer(async () => {
      let go!: () => void;
      const gone = new Promise<void>((resolve) => (go = resolve));
      const joining = gone.then(() => service.same());
      later = async () => {
        go();
        return joining;
      };
      return undefined;
    });
    expect(await later()).toBe(1);
    expect(service.pool.stats().released).toBe(2);
  });
});
