/** Compiled, never run: the public types, with all libraries checked, by the compiler that goes with this Nest. */
import { Injectable, Module } from '@nestjs/common';
import { type ConnectionPool, InjectPool, Leased, type PoolOf, PoolModule, PoolRegistry, UsePool } from 'nestjs-pools';
import { type HttpConnection, type HttpPool, httpPool } from 'nestjs-pools/http';
import { type Answer, CountedUpstream, UpstreamModule } from './counted-upstream.js';

declare module 'nestjs-pools' {
  interface PoolRegistryTypes {
    oracle: HttpPool;
  }
}

@Module({
  imports: [
    PoolModule.forRootAsync({
      pools: ['answers', 'oracle'],
      imports: [UpstreamModule],
      inject: [CountedUpstream, { token: 'ORACLE_URL', optional: true }],
      useFactory: async (upstream, url?: string) => ({
        answers: upstream.definition(),
        oracle: httpPool({ baseURL: url ?? 'http://127.0.0.1:9' }),
      }),
      failOnStart: ['answers'],
    }),
    PoolModule.forRootAsync({
      pools: ['answers', 'oracle'],
      inject: [CountedUpstream],
      // @ts-expect-error: a pool is missing
      useFactory: (upstream: CountedUpstream) => ({ answers: upstream.definition() }),
    }),
  ],
})
export class TypedModule {}

@Injectable()
export class TypedConsumer {
  constructor(
    @InjectPool('answers') readonly answers: ConnectionPool<Answer>,
    @InjectPool('oracle') readonly oracle: PoolOf<'oracle'>,
    // @ts-expect-error: the pool is of another type
    @InjectPool('oracle') readonly other: ConnectionPool<Answer>,
    private readonly registry: PoolRegistry,
  ) {}

  @UsePool('oracle', { acquireTimeoutMs: 500 })
  async ask(text: string, @Leased() connection?: HttpConnection): Promise<string> {
    const { data } = await connection!.client.post<string>('/', { text });
    return data;
  }

  typed(): [HttpPool, ConnectionPool<Answer>] {
    return [this.registry.get('oracle'), this.registry.get('answers')];
  }

  mistyped(): ConnectionPool<string> {
    // @ts-expect-error: its connections are no strings
    return this.registry.get('answers');
  }
}
