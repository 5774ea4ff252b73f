import { Readable } from 'node:stream';
import {
  Controller,
  Get,
  Injectable,
  Module,
  type NestInterceptor,
  Query,
  StreamableFile,
  UseGuards,
  UseInterceptors,
  type INestApplication,
} from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { map, timeout } from 'rxjs';
import {
  getPoolToken,
  InjectPool,
  Leased,
  LeasePerRequest,
  PoolExceptionFilter,
  PoolModule,
  UsePool,
} from 'nestjs-pools';
import type { GatedConnection } from 'nestjs-pools/testing';
import { eventually } from '../support/http-server.js';
import { gatedPool, type GatedPool } from '../support/nest-app.js';
import { ask, askAndLeave, PLATFORMS } from '../support/platforms.js';

/** Lets the test hold a handler. */
class Gate {
  private open!: () => void;
  private arrive!: () => void;
  passed = new Promise<void>((resolve) => (this.open = resolve));
  arrived = new Promise<void>((resolve) => (this.arrive = resolve));

  async pass(): Promise<void> {
    this.arrive();
    await this.passed;
  }

  release(): void {
    this.open();
  }
}
let gate: Gate;
let source: Readable;

@Injectable()
class Sessions {
  @UsePool('documents', { nested: 'join' })
  async id(@Leased() session?: GatedConnection): Promise<number> {
    return session!.id;
  }

  @UsePool('documents')
  async another(@Leased() session?: GatedConnection): Promise<number> {
    return session!.id;
  }
}

const shout = {
  intercept: (_context: unknown, next: { handle(): any }) => next.handle().pipe(map((value: string) => `${value}!`)),
};

@Controller()
class Routes {
  constructor(
    private readonly sessions: Sessions,
    @InjectPool('documents') private readonly pool: GatedPool,
  ) {}

  @LeasePerRequest('documents')
  @Get('one')
  async one(@Query('q') q: string, @Leased() session?: GatedConnection): Promise<string> {
    const inner = await this.sessions.id();
    return `${q} ${session!.id === inner} ${this.pool.stats().activeConnections}`;
  }

  @UseGuards({ canActivate: () => true })
  @UseInterceptors(shout)
  @Get('above')
  @LeasePerRequest('documents')
  above(@Leased() session?: GatedConnection): string {
    return `sync with ${typeof session!.id}`;
  }

  @LeasePerRequest('documents')
  @LeasePerRequest('other')
  @Get('two')
  async two(@Leased('documents') a?: GatedConnection, @Leased('other') b?: GatedConnection): Promise<string> {
    return `${a!.id} ${b!.id} ${a === b}`;
  }

  @LeasePerRequest('documents')
  @LeasePerRequest('other', { acquireTimeoutMs: 0 })
  @Get('two-at-once')
  async twoAtOnce(): Promise<string> {
    return 'never reached';
  }

  @LeasePerRequest('documents')
  @Get('nested')
  async nested(): Promise<string> {
    return String((await this.sessions.another()) > 0);
  }

  @LeasePerRequest('documents')
  @Get('fails')
  async fails(): Promise<string> {
    throw new Error('the handler failed');
  }

  @LeasePerRequest('documents', { acquireTimeoutMs: 0 })
  @Get('at-once')
  async atOnce(): Promise<string> {
    return 'served';
  }

  @LeasePerRequest('documents')
  @Get('held')
  async held(@Leased() session?: GatedConnection): Promise<string> {
    await gate.pass();
    return `held ${session!.id}`;
  }

  @LeasePerRequest('documents')
  @UseInterceptors({ intercept: (_context, next) => next.handle().pipe(timeout(20)) } satisfies NestInterceptor)
  @Get('impatient')
  async impatient(): Promise<string> {
    return 'never reached';
  }

  @LeasePerRequest('documents')
  @UseInterceptors({ intercept: (_context, next) => next.handle().pipe(timeout(20)) } satisfies NestInterceptor)
  @Get('given-up')
  async givenUp(@Leased() session?: GatedConnection): Promise<string> {
    await gate.pass();
    return `held ${session!.id}`;
  }

  @LeasePerRequest('documents')
  @Get('file')
  async file(): Promise<StreamableFile> {
    return new StreamableFile(source);
  }
}

@LeasePerRequest('documents')
@Controller('class')
class Everywhere {
  @Get('a')
  async a(@Leased() session?: GatedConnection): Promise<string> {
    return typeof session!.id;
  }

  @LeasePerRequest('documents')
  @Get('b')
  async b(@InjectedNothing() _nothing: unknown, @Leased() session?: GatedConnection): Promise<string> {
    return typeof session!.id;
  }
}

/** A parameter that nobody fills. */
function InjectedNothing(): ParameterDecorator {
  return () => undefined;
}

const definitions = (): Parameters<typeof PoolModule.forRoot>[0]['pools'] => ({
  documents: gatedPool({ maxConnections: 2, minConnections: 0, acquireTimeoutMs: 1_000 }),
  other: gatedPool({ minConnections: 0, maxConnections: 1 }),
});

describe.each(PLATFORMS)('@LeasePerRequest on %s', (_name, create) => {
  let app: INestApplication;
  let pool: GatedPool;
  const out = (): number => pool.stats().activeConnections;
  const isBack = (): Promise<void> => eventually(() => out() === 0, 'the lease came back');

  beforeEach(async () => {
    gate = new Gate();
    source = new Readable({ read: () => undefined });
    @Module({
      imports: [PoolModule.forRoot({ pools: definitions() })],
      controllers: [Routes, Everywhere],
      providers: [Sessions, { provide: APP_FILTER, useClass: PoolExceptionFilter }],
    })
    class AppModule {}
    app = await create(AppModule);
    await app.listen(0, '127.0.0.1');
    pool = app.get(getPoolToken('documents'));
  });
  afterEach(async () => {
    source.destroy();
    await app.close();
  });

  it('gives the handler a connection, which methods that join share', async () => {
    expect((await ask(app, '/one?q=hi')).text).toBe('hi true 1');
    await isBack();
    expect(pool.stats().released).toBe(1);
  });

  it('works below a route, beside guards and interceptors, on a handler that is not async', async () => {
    expect((await ask(app, '/above')).text).toBe('sync with number!');
    await isBack();
  });

  it('leases from several pools', async () => {
    expect((await ask(app, '/two')).text).toMatch(/^\d+ \d+ false$/);
    await isBack();
  });

  it('does not keep methods that do not join from a lease of their own', async () => {
    expect((await ask(app, '/nested')).text).toBe('true');
    await isBack();
    expect(pool.stats().released).toBe(2);
  });

  it('holds for every handler of a class, and takes one lease where it stands on both', async () => {
    expect((await ask(app, '/class/a')).text).toBe('number');
    expect((await ask(app, '/class/b')).text).toBe('number');
    await isBack();
    expect(pool.stats().released).toBe(2);
  });

  it('gives back when the handler fails', async () => {
    expect((await ask(app, '/fails')).status).toBe(500);
    await isBack();
  });

  it('answers 503 by the filter when there is no connection, and calls no handler', async () => {
    const leases = [await pool.acquire(), await pool.acquire()];
    const { status, headers } = await ask(app, '/at-once');
    expect([status, headers['retry-after']]).toEqual([503, '1']);
    for (const lease of leases) lease.release();
  });

  it('gives back the one when there is no connection of the other', async () => {
    const others = app.get<GatedPool>(getPoolToken('other'));
    const lease = await others.acquire();
    expect((await ask(app, '/two-at-once')).status).toBe(503);
    expect([out(), pool.stats().released]).toEqual([0, 1]);
    lease.release();
  });

  it('leaves the queue when the client leaves', async () => {
    const leases = [await pool.acquire(), await pool.acquire()];
    const client = askAndLeave(app, '/held');
    await eventually(() => pool.stats().waiting === 1, 'it waits');
    client.leave();
    await eventually(() => pool.stats().waiting === 0, 'it has left the queue');
    expect(pool.stats().aborted).toBe(1);
    for (const lease of leases) lease.release();
  });

  it('leaves the queue when something around it gives up', async () => {
    const leases = [await pool.acquire(), await pool.acquire()];
    expect((await ask(app, '/impatient')).status).toBe(500);
    expect(pool.stats()).toMatchObject({ waiting: 0, aborted: 1 });
    for (const lease of leases) lease.release();
    expect(out()).toBe(0);
  });

  it('waits for a handler that works on when something around it has given up', async () => {
    expect((await ask(app, '/given-up')).status).toBe(500);
    expect(out()).toBe(1);
    gate.release();
    await isBack();
  });

  it('does not take the connection from a handler that still works when the client has left', async () => {
    const client = askAndLeave(app, '/held');
    await gate.arrived;
    client.leave();
    await new Promise((resolve) => setImmediate(resolve));
    expect(out()).toBe(1);
    gate.release();
    await isBack();
  });

  it('holds the lease while a file is sent, and gives back when it has been', async () => {
    const answer = ask(app, '/file');
    source.push('first, ');
    await eventually(() => out() === 1, 'it is leased');
    source.push('last');
    source.push(null);
    expect((await answer).text).toBe('first, last');
    await isBack();
  });

  it('gives back when the client leaves amid a file', async () => {
    const client = askAndLeave(app, '/file');
    source.push('first, ');
    expect(await client.firstBytes).toBe('first, ');
    expect(out()).toBe(1);
    client.leave();
    await isBack();
    expect(source.destroyed).toBe(true);
  });

  it('stops the boot where no module registers the pool', async () => {
    @LeasePerRequest('unknown')
    @Controller('elsewhere')
    class Elsewhere {
      @Get()
      at(): string {
        return 'never';
      }
    }
    @Module({ imports: [PoolModule.forRoot({ pools: definitions() })], controllers: [Elsewhere] })
    class AppModule {}
    await expect(create(AppModule, { abortOnError: false })).rejects.toThrow(
      /@LeasePerRequest\('unknown'\) on Elsewhere: a PoolModule that registers "unknown"/,
    );
  });

  it('says what to do for a handler that is called outside of a request', () => {
    expect(() => void app.get(Routes).held()).toThrow(
      "@LeasePerRequest('documents') on Routes.held(): it was called outside of a request, so there is no lease; call it through Nest",
    );
  });
});
