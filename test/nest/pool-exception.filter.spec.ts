import type { ServerResponse } from 'node:http';
import {
  type ArgumentsHost,
  Controller,
  Get,
  HttpException,
  type INestApplication,
  Module,
  Res,
  type Type,
} from '@nestjs/common';
import { APP_FILTER, type HttpAdapterHost, NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import {
  customPool,
  getPoolToken,
  InjectPool,
  type PoolDownError,
  PoolExceptionFilter,
  PoolModule,
  TooManyPoolsError,
} from 'nestjs-pools';
import { gatedPool, type GatedPool } from '../support/nest-app.js';

@Controller()
class Routes {
  constructor(
    @InjectPool('documents') private readonly pool: GatedPool,
    @InjectPool('down') private readonly down: GatedPool,
  ) {}

  @Get('down')
  useDown(): Promise<string> {
    return this.down.use(() => 'ok');
  }

  @Get('use')
  use(): Promise<string> {
    return this.pool.use(() => 'ok', { acquireTimeoutMs: 0 });
  }

  @Get('begun')
  async begun(@Res() response: ServerResponse & { raw?: ServerResponse }): Promise<void> {
    const raw = response.raw ?? response;
    raw.writeHead(200, { 'content-type': 'text/plain' });
    raw.write('begun');
    await this.down.acquire();
  }

  @Get('misuse')
  async misuse(): Promise<number> {
    const lease = await this.pool.acquire();
    lease.release();
    return lease.connection.id;
  }
}

const down = customPool({
  factory: { create: () => Promise.reject(new Error('refused')) },
  minConnections: 0,
  downAfter: 1,
  createRetry: { initialMs: 1e9, maxMs: 1e9 },
});

@Module({
  imports: [PoolModule.forRoot({ pools: { documents: gatedPool({ maxConnections: 1 }), down } })],
  controllers: [Routes],
  providers: [{ provide: APP_FILTER, useClass: PoolExceptionFilter }],
})
class AppModule {}

const platforms: [string, (module: Type) => Promise<INestApplication>][] = [
  ['Express', (module) => NestFactory.create(module, { logger: false })],
  ['Fastify', (module) => NestFactory.create(module, new FastifyAdapter(), { logger: false })],
];

describe.each(platforms)('PoolExceptionFilter on %s', (_name, create) => {
  let app: INestApplication;
  const get = async (path: string): Promise<{ status: number; retryAfter: string | null; body: unknown }> => {
    const answer = await fetch(`${await app.getUrl()}/${path}`, { headers: { connection: 'close' } });
    return { status: answer.status, retryAfter: answer.headers.get('retry-after'), body: await answer.json() };
  };

  beforeAll(async () => {
    app = await create(AppModule);
    await app.listen(0, '127.0.0.1');
  });
  afterAll(() => app.close());

  it('answers 503 with Retry-After when no connection can be had, and tells nothing of the pool', async () => {
    const lease = await app.get<GatedPool>(getPoolToken('documents')).acquire();
    const { status, retryAfter, body } = await get('use');
    lease.release();
    expect([status, retryAfter]).toEqual([503, '1']);
    expect(body).toEqual({
      statusCode: 503,
      error: 'Service Unavailable',
      message: 'The service is busy or one of its upstreams is; please try again shortly.',
    });
  });

  it('says when a pool that is down will try again', async () => {
    const pool = app.get<GatedPool>(getPoolToken('down'));
    await expect(pool.acquire()).rejects.toThrow('could not open a connection');
    const down = await pool.acquire().catch((error: PoolDownError) => error);
    const { status, retryAfter } = await get('down');
    const seconds = Math.ceil(((down as PoolDownError).retryAt.getTime() - Date.now()) / 1_000);
    expect([status, Math.abs(Number(retryAfter) - Math.max(1, seconds)) <= 1]).toEqual([503, true]);
    expect(Number(retryAfter)).toBeGreaterThan(0);
  });

  it('ends an answer that had begun when the connection was missed', async () => {
    expect(await (await fetch(`${await app.getUrl()}/begun`, { headers: { connection: 'close' } })).text()).toBe(
      'begun',
    );
  });

  it('answers 500 without a word for a mistake in the program', async () => {
    const { status, retryAfter, body } = await get('misuse');
    expect([status, retryAfter, body]).toEqual([500, null, { statusCode: 500, message: 'Internal server error' }]);
  });
});

describe('PoolExceptionFilter elsewhere', () => {
  it('leaves an exception of HTTP to those who make answers of exceptions themselves, as GraphQL does', () => {
    const filter = new PoolExceptionFilter({} as HttpAdapterHost);
    const host = { getType: () => 'graphql' } as unknown as ArgumentsHost;
    const error = new TooManyPoolsError('tenants', 3);
    let answer: unknown;
    try {
      void filter.catch(error, host);
    } catch (thrown) {
      answer = thrown;
    }
    expect(answer).toBeInstanceOf(HttpException);
    expect(answer).toMatchObject({ status: 503, cause: error, response: { statusCode: 503 } });
  });
});
