import 'reflect-metadata';
import { Controller, Get, Injectable, Module, Query, Scope, SetMetadata } from '@nestjs/common';
import { ContextIdFactory, NestFactory } from '@nestjs/core';
import { Subject } from 'rxjs';
import { ConnectionPool, getPoolToken, Leased, PoolModule, PoolRegistry, UsePool } from 'nestjs-pools';
import { type GatedConnection } from 'nestjs-pools/testing';
import { boot, closeAll, gatedPool, type GatedPool } from '../support/nest-app.js';

afterEach(closeAll);

@Injectable()
class Service {
  readonly greeting = 'hello';

  @UsePool('documents')
  async name(who: string, @Leased() connection?: GatedConnection): Promise<string> {
    return `${this.greeting} ${who} by ${connection?.id}`;
  }

  @UsePool('documents')
  async pair(@Leased() one?: GatedConnection, @Leased() two?: GatedConnection): Promise<unknown[]> {
    return [one && one.id, two?.id];
  }

  @UsePool('documents')
  async fail(): Promise<void> {
    throw new Error('the work failed');
  }

  @UsePool('documents', { signal: (signal: AbortSignal) => signal, acquireTimeoutMs: 5 })
  async patient(_signal?: AbortSignal): Promise<void> {}

  @UsePool('documents', { signal: 'signal' })
  async named(texts: readonly string[] = ['a, b', `c)`], signal?: AbortSignal): Promise<number> {
    return signal === undefined ? texts.length : 0;
  }

  @UsePool('documents', { signal: 'options.signal' })
  async inOptions(text: string, options: { signal?: AbortSignal } = {}): Promise<string> {
    return options.signal === undefined ? text : '';
  }

  @UsePool('documents', { priority: 9 })
  async urgent(): Promise<void> {}

  @UsePool('documents')
  @UsePool('other')
  async both(@Leased('documents') one?: GatedConnection, @Leased('other') two?: GatedConnection): Promise<string> {
    const kind = (value: unknown): string =>
      value === null ? 'null' : value === undefined ? 'nothing' : 'a connection';
    return one === two ? 'the same' : `${kind(one)} and ${kind(two)}`;
  }
}

async function bootService(maxConnections = 20): Promise<{ service: Service; pool: GatedPool }> {
  const pools = { documents: gatedPool({ maxConnections }), other: gatedPool() };
  const app = await boot({ imports: [PoolModule.forRoot({ pools })], providers: [Service] });
  return { service: app.get(Service), pool: app.get(getPoolToken('documents')) };
}

describe('@UsePool', () => {
  it('leases a connection for the call and gives it back', async () => {
    const { service, pool } = await bootService();
    expect(await service.name('Ada')).toMatch(/^hello Ada by \d+$/);
    expect(pool.stats()).toMatchObject({ activeConnections: 0, released: 1 });
  });

  it('gives it back when the method fails, and passes the failure on', async () => {
    const { service, pool } = await bootService();
    await expect(service.fail()).rejects.toThrow('the work failed');
    expect(pool.stats()).toMatchObject({ activeConnections: 0, released: 1 });
  });

  it('leases none for a caller that passes a connection on', async () => {
    const { service, pool } = await bootService();
    const mine = { id: 4711 } as GatedConnection;
    expect(await service.name('Ada', mine)).toBe('hello Ada by 4711');
    expect(pool.stats().released).toBe(0);
  });

  it('takes a null that the caller passes for what it is', async () => {
    const { service, pool } = await bootService();
    expect(await service.name('Ada', null as unknown as GatedConnection)).toBe('hello Ada by undefined');
    expect(pool.stats().released).toBe(0);
    expect(await service.pair(null as unknown as GatedConnection)).toEqual([null, expect.any(Number)]);
  });

  it('stops the boot where no module registers its pool, and names the class and the pool', async () => {
    const booting = boot({ imports: [PoolModule.forRoot({ pools: { other: gatedPool() } })], providers: [Service] });
    await expect(booting).rejects.toThrow(/Service.*Pool\(documents\)/s);
  });

  it('lets the caller end the wait by a signal among the arguments, and takes a timeout of its own', async () => {
    const { service, pool } = await bootService(1);
    const lease = await pool.acquire();
    const signal = AbortSignal.abort();
    await expect(service.patient(signal)).rejects.toMatchObject({ code: 'POOL_ACQUIRE_ABORTED' });
    await expect(service.named(['a'], signal)).rejects.toMatchObject({ code: 'POOL_ACQUIRE_ABORTED' });
    await expect(service.inOptions('a', { signal })).rejects.toMatchObject({ code: 'POOL_ACQUIRE_ABORTED' });
    await expect(service.patient()).rejects.toMatchObject({ code: 'POOL_ACQUIRE_TIMEOUT' });
    lease.release();
    expect(await service.named(['a'])).toBe(1);
    expect(await service.inOptions('a')).toBe('a');
  });

  it('takes a priority', async () => {
    const { service, pool } = await bootService(1);
    const lease = await pool.acquire();
    const order: string[] = [];
    const usual = service.name('Ada').then(() => order.push('usual'));
    const urgent = service.urgent().then(() => order.push('urgent'));
    lease.release();
    await Promise.all([usual, urgent]);
    expect(order).toEqual(['urgent', 'usual']);
  });

  it('leases from several pools for one method', async () => {
    const { service } = await bootService();
    expect(await service.both()).toBe('a connection and a connection');
  });

  it('keeps the name, the length and the metadata of the method', () => {
    class Marked {
      @SetMetadata('above', 1)
      @UsePool('documents')
      @SetMetadata('below', 2)
      async marked(_one: string, _two: string): Promise<void> {}
    }
    const marked = Reflect.get(Marked.prototype, 'marked') as () => Promise<void>;
    expect([marked.name, marked.length]).toEqual(['marked', 2]);
    expect([Reflect.getMetadata('above', marked), Reflect.getMetadata('below', marked)]).toEqual([1, 2]);
  });

  it('works above and below a route, with its parameters', async () => {
    @Controller()
    class Routes {
      @Get('above')
      @UsePool('documents')
      async above(@Query('q') q: string, @Leased() connection?: GatedConnection): Promise<string> {
        return `${q} ${typeof connection?.id}`;
      }
      @UsePool('documents')
      @Get('below')
      async below(@Query('q') q: string, @Leased() connection?: GatedConnection): Promise<string> {
        return `${q} ${typeof connection?.id}`;
      }
    }
    @Module({ imports: [PoolModule.forRoot({ pools: { documents: gatedPool() } })], controllers: [Routes] })
    class AppModule {}
    const app = await NestFactory.create(AppModule, { logger: false });
    await app.listen(0, '127.0.0.1');
    try {
      for (const route of ['above', 'below']) {
        const answer = await fetch(`${await app.getUrl()}/${route}?q=hi`, { headers: { connection: 'close' } });
        expect(await answer.text()).toBe('hi number');
      }
    } finally {
      await app.close();
    }
  });

  it('works in a request-scoped provider and in a subclass', async () => {
    @Injectable({ scope: Scope.REQUEST })
    class Scoped extends Service {}
    const pools = { documents: gatedPool(), other: gatedPool() };
    const app = await boot({ imports: [PoolModule.forRoot({ pools })], providers: [Scoped] });
    const scoped = await app.resolve(Scoped, ContextIdFactory.create());
    expect(await scoped.name('Ada')).toMatch(/^hello Ada by \d+$/);
  });

  it('finds the pool by a function of the instance, for one that is known only at run time', async () => {
    class Chosen {
      constructor(readonly pool: GatedPool) {}
      @UsePool<Chosen>((self) => self.pool)
      async id(@Leased() connection?: GatedConnection): Promise<number | undefined> {
        return connection?.id;
      }
    }
    const pool = new ConnectionPool({ name: 'own', factory: gatedPool().gate });
    expect(await new Chosen(pool).id()).toBe(1);
    await pool.close();
  });

  it('finds the pool for an instance that Nest did not make, where one application runs', async () => {
    const { pool } = await bootService();
    expect(await new Service().name('Ada')).toMatch(/^hello Ada/);
    expect(pool.stats().released).toBe(1);
  });

  it('says what to do for such an instance where two applications run, or none', async () => {
    const cure = /@UsePool\('documents'\) on Service\.name\(\): no pool "documents" was injected.*`new`.*self\.pool/;
    await expect(new Service().name('Ada')).rejects.toThrow(cure);
    await bootService();
    await bootService();
    await expect(new Service().name('Ada')).rejects.toThrow(cure);
  });

  it('is refused on a method that gives back a mere value, and on a static one, when the class is defined', () => {
    const use = UsePool('documents') as unknown as MethodDecorator;
    const definitions: [() => unknown, string][] = [
      [
        () => {
          class Sync {
            @use
            count(): number {
              return 1;
            }
          }
          return Sync;
        },
        "@UsePool('documents') on Sync.count(): it must return a promise, an async iterable, an Observable or a stream",
      ],
      [
        () => {
          class Dated {
            @use
            when(): Date {
              return new Date();
            }
          }
          return Dated;
        },
        'Make it async. It is declared to return Date',
      ],
      [
        () => {
          class Generates {
            @use
            *each(): Generator<number> {}
          }
          return Generates;
        },
        "@UsePool('documents') on Generates.each(): it must return a promise",
      ],
      [
        () => {
          class Emits {
            @use
            values(): Subject<number> {
              return new Subject();
            }
          }
          return Emits;
        },
        'It is declared to return Subject',
      ],
      [
        () => {
          class Static {
            @use
            static async run(): Promise<void> {}
          }
          return Static;
        },
        'it works on instances, not on static methods',
      ],
      [
        () => {
          class Misnamed {
            @(UsePool('documents', { signal: 'signl' }) as MethodDecorator)
            async run(_texts: string[], _signal?: AbortSignal): Promise<void> {}
          }
          return Misnamed;
        },
        'on Misnamed.run(): signal: it has no parameter "signl", but (_texts, _signal). Correct the name',
      ],
      [
        () => {
          class Several {
            @UsePool('documents')
            @UsePool('other')
            async run(@Leased() _one?: unknown, @Leased('other') _two?: unknown): Promise<void> {}
          }
          return Several;
        },
        'several pools: say which connection each parameter gets',
      ],
    ];
    for (const [define, message] of definitions) expect(define).toThrow(message);
  });

  it('refuses a result that is no promise, and gives the connection back', async () => {
    class Sly {
      constructor(readonly pool: GatedPool) {}
      @(UsePool<Sly>((self) => self.pool) as unknown as MethodDecorator)
      run(): unknown {
        return 'done already';
      }
    }
    const pool = new ConnectionPool({ name: 'own', factory: gatedPool().gate });
    await expect(new Sly(pool).run()).rejects.toThrow('on Sly.run(): it must return a promise');
    expect(pool.stats().activeConnections).toBe(0);
    await pool.close();
  });

  it('says so when a parameter is for the connection of a pool that the method does not use', async () => {
    class Typo {
      constructor(readonly pool: GatedPool) {}
      @UsePool<Typo>((self) => self.pool)
      async run(@Leased('documnts') _connection?: GatedConnection): Promise<void> {}
    }
    const pool = new ConnectionPool({ name: 'own', factory: gatedPool().gate });
    expect(() => void new Typo(pool).run()).toThrow(
      "on Typo.run(): @Leased('documnts') marks a parameter, and no @UsePool('documnts') stands on the method",
    );
    await pool.close();
  });

  it('leaves the registry of a closed application alone', async () => {
    const app = await boot({ imports: [PoolModule.forRoot({ pools: { documents: gatedPool() } })] });
    expect(app.get(PoolRegistry).has('documents')).toBe(true);
    await app.close();
    await expect(new Service().name('Ada')).rejects.toThrow('no pool "documents" was injected');
  });
});
