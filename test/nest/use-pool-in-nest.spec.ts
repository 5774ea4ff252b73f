import 'reflect-metadata';
import {
  type CanActivate,
  Controller,
  type ExecutionContext,
  Get,
  Injectable,
  Module,
  ParseIntPipe,
  Query,
  Scope,
  SetMetadata,
  Sse,
  UseGuards,
} from '@nestjs/common';
import { ContextIdFactory, NestFactory, Reflector } from '@nestjs/core';
import { createObserveModule } from '@nestjs/observe';
import { ApiOperation, ApiQuery, DocumentBuilder, SwaggerModule } from '@nestjs/swagger';
import { Observable, of } from 'rxjs';
import { ConnectionPool, getPoolToken, Leased, PoolModule, UsePool } from 'nestjs-pools';
import { GatedFactory, type GatedConnection } from 'nestjs-pools/testing';
import { boot, closeAll, gatedPool, type GatedPool } from '../support/nest-app.js';
import { ask, PLATFORMS } from '../support/platforms.js';

afterEach(closeAll);

@Injectable()
class Service {
  @UsePool('documents')
  async pool(@Leased() connection?: GatedConnection): Promise<string> {
    return connection!.context.pool;
  }

  @UsePool('documents')
  async id(@Leased() connection?: GatedConnection): Promise<GatedConnection> {
    return connection!;
  }
}

@Injectable({ scope: Scope.REQUEST })
class Scoped extends Service {}

@Injectable({ scope: Scope.TRANSIENT })
class Transient extends Service {}

class Roles implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    return new Reflector().get<string>('role', context.getHandler()) === 'reader';
  }
}

@Controller()
class Routes {
  @ApiOperation({ summary: 'above' })
  @ApiQuery({ name: 'n', type: Number })
  @SetMetadata('role', 'reader')
  @UseGuards(Roles)
  @Get('above')
  @UsePool('documents')
  async above(@Query('n', ParseIntPipe) n: number, @Leased() connection?: GatedConnection): Promise<string> {
    return `${n + 1} ${typeof connection?.id}`;
  }

  @UsePool('documents')
  @ApiOperation({ summary: 'below' })
  @ApiQuery({ name: 'n', type: Number })
  @Get('below')
  @UseGuards(Roles)
  @SetMetadata('role', 'reader')
  async below(@Query('n', ParseIntPipe) n: number, @Leased() connection?: GatedConnection): Promise<string> {
    return `${n + 1} ${typeof connection?.id}`;
  }

  @Get('alone')
  @UsePool('documents')
  async alone(@Leased() connection?: GatedConnection): Promise<string> {
    return typeof connection?.id;
  }

  @Sse('events')
  @UsePool('documents')
  events(@Leased() connection?: GatedConnection): Observable<{ data: string }> {
    return of({ data: `from ${typeof connection?.id}` });
  }

  @Get('rows')
  @UsePool('documents')
  async *rows(@Leased() connection?: GatedConnection): AsyncGenerator<string> {
    yield 'row ';
    yield typeof connection?.id;
  }
}

describe.each(PLATFORMS)('@UsePool on a controller, on %s', (_name, create) => {
  it('works above and below the route, with guards, pipes, events and generators', async () => {
    @Module({ imports: [PoolModule.forRoot({ pools: { documents: gatedPool() } })], controllers: [Routes] })
    class AppModule {}
    const app = await create(AppModule);
    await app.listen(0, '127.0.0.1');
    try {
      expect((await ask(app, '/above?n=1')).text).toBe('2 number');
      expect((await ask(app, '/below?n=1')).text).toBe('2 number');
      expect((await ask(app, '/below?n=one')).status).toBe(400);
      expect((await ask(app, '/alone')).text).toBe('number');
      expect((await ask(app, '/events')).text).toContain('data: from number');
      expect((await ask(app, '/rows')).text).toContain('number');
      expect(app.get<GatedPool>(getPoolToken('documents')).stats()).toMatchObject({
        activeConnections: 0,
        released: 5,
      });
    } finally {
      await app.close();
    }
  });
});

describe('@UsePool beside what else looks at methods', () => {
  it('leaves Swagger its routes, with names and parameters', async () => {
    @Module({ imports: [PoolModule.forRoot({ pools: { documents: gatedPool() } })], controllers: [Routes] })
    class AppModule {}
    const app = await NestFactory.create(AppModule, { logger: false });
    try {
      const { paths } = SwaggerModule.createDocument(app, new DocumentBuilder().build());
      for (const name of ['above', 'below']) {
        expect(paths[`/${name}`]?.get).toMatchObject({
          operationId: `Routes_${name}`,
          summary: name,
          parameters: [{ name: 'n', in: 'query', schema: { type: 'number' } }],
        });
      }
    } finally {
      await app.close();
    }
  });

  it('shows an instance decorator the class and the names of its methods, and works through what it makes', async () => {
    const seen: string[] = [];
    const instanceDecorator = (instance: unknown): unknown => {
      if (!(instance instanceof Service)) return instance;
      return new Proxy(instance, {
        get(target, key, receiver) {
          const value: unknown = Reflect.get(target, key, receiver);
          if (typeof value !== 'function' || key === 'constructor') return value;
          return (...args: unknown[]) => {
            seen.push(`${target.constructor.name}.${value.name}/${value.length}`);
            return Reflect.apply(value, receiver, args) as unknown;
          };
        },
      });
    };
    class AppModule {}
    Module({ imports: [PoolModule.forRoot({ pools: { documents: gatedPool() } })], providers: [Service] })(AppModule);
    const app = await NestFactory.createApplicationContext(AppModule, {
      logger: false,
      instrument: { instanceDecorator },
    });
    try {
      expect(await app.get(Service).pool()).toBe('documents');
      expect(seen).toContain('Service.pool/1');
    } finally {
      await app.close();
    }
  });

  it('works under @nestjs/observe', async () => {
    class AppModule {}
    Module({ imports: [PoolModule.forRoot({ pools: { documents: gatedPool() } })], providers: [Service] })(AppModule);
    const instrument = createObserveModule().ObserveInstrument;
    const app = await NestFactory.createApplicationContext(AppModule, { logger: false, instrument });
    try {
      expect(await app.get(Service).pool()).toBe('documents');
    } finally {
      await app.close();
    }
  });
});

describe('@UsePool in instances of every making', () => {
  const pools = (): { documents: ReturnType<typeof gatedPool> } => ({ documents: gatedPool() });

  it('works in request-scoped and transient providers, and in what inherits', async () => {
    const app = await boot({ imports: [PoolModule.forRoot({ pools: pools() })], providers: [Scoped, Transient] });
    const scoped = await app.resolve(Scoped, ContextIdFactory.create());
    const transient = await app.resolve(Transient);
    expect([await scoped.pool(), await transient.pool()]).toEqual(['documents', 'documents']);
  });

  it('is dropped by an override without it, and stands again with it', async () => {
    class Plain extends Service {
      override async pool(connection?: GatedConnection): Promise<string> {
        return `plain ${typeof connection}`;
      }
    }
    class Around extends Service {
      @UsePool('documents', { nested: 'join' })
      override async pool(@Leased() connection?: GatedConnection): Promise<string> {
        return `around ${await super.pool(connection)}`;
      }
    }
    const app = await boot({ imports: [PoolModule.forRoot({ pools: pools() })], providers: [Plain, Around] });
    expect(await app.get(Plain).pool()).toBe('plain undefined');
    expect(await app.get(Around).pool()).toBe('around documents');
  });

  it('works in what a factory made or a value gave, with the pools of its own application', async () => {
    const gates = [gatedPool(), gatedPool()];
    const shared = new Service();
    const apps = [];
    for (const gate of gates) {
      const providers = [
        { provide: Service, useFactory: () => new Service() },
        { provide: 'shared', useValue: shared },
        { provide: 'alias', useExisting: Service },
      ];
      apps.push(await boot({ imports: [PoolModule.forRoot({ pools: { documents: gate } })], providers }));
    }
    for (const [index, app] of apps.entries()) {
      const connection = await app.get(Service).id();
      expect(gates[index]!.gate.open).toContain(connection);
      expect(app.get('alias')).toBe(app.get(Service));
    }
    // A value that two applications share is the last one's.
    expect(gates[1]!.gate.open).toContain(await shared.id());
  });

  it('is there when a module of the application is initialised', async () => {
    const pool: string[] = [];
    class Eager extends Service {
      async onModuleInit(): Promise<void> {
        pool.push(await this.pool());
      }
    }
    await boot({
      imports: [PoolModule.forRoot({ pools: pools() })],
      providers: [{ provide: Eager, useFactory: () => new Eager() }],
    });
    expect(pool).toEqual(['documents']);
  });

  it('needs no Nest where a function finds the pool', async () => {
    class Bare {
      constructor(readonly documents: ConnectionPool<GatedConnection>) {}
      @UsePool((self: Bare) => self.documents)
      async id(@Leased() connection?: GatedConnection): Promise<number> {
        return connection!.id;
      }
    }
    const pool = new ConnectionPool({ name: 'bare', factory: new GatedFactory() });
    expect(await new Bare(pool).id()).toBe(1);
    await pool.close();
  });
});
