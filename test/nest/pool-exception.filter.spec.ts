import { Controller, Get, type INestApplication, Module, type Type } from '@nestjs/common';
import { APP_FILTER, NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { getPoolToken, InjectPool, PoolExceptionFilter, PoolModule } from 'nestjs-pools';
import { gatedPool, type GatedPool } from '../support/nest-app.js';

@Controller()
class Routes {
  constructor(@InjectPool('documents') private readonly pool: GatedPool) {}

  @Get('use')
  use(): Promise<string> {
    return this.pool.use(() => 'ok', { acquireTimeoutMs: 0 });
  }

  @Get('misuse')
  async misuse(): Promise<number> {
    const lease = await this.pool.acquire();
    lease.release();
    return lease.connection.id;
  }
}

@Module({
  imports: [PoolModule.forRoot({ pools: { documents: gatedPool({ maxConnections: 1 }) } })],
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

  it('answers 500 without a word for a mistake in the program', async () => {
    const { status, retryAfter, body } = await get('misuse');
    expect([status, retryAfter, body]).toEqual([500, null, { statusCode: 500, message: 'Internal server error' }]);
  });
});
