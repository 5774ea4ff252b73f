import { setImmediate as nextTurn } from 'node:timers/promises';
import { Injectable, Module } from '@nestjs/common';
import { type ConnectionFactory, type ConnectionPool, customPool, type PoolDefinition } from 'nestjs-pools';
import { tell } from './tell.js';

/** What is pooled. */
export interface Answer {
  readonly id: number;
}

declare module 'nestjs-pools' {
  interface PoolRegistryTypes {
    answers: ConnectionPool<Answer>;
  }
}

/** An upstream that can be taken away, and that counts. */
@Injectable()
export class CountedUpstream {
  isUp = true;
  opened = 0;
  closed = 0;

  private readonly factory: ConnectionFactory<Answer> = {
    create: () => {
      if (!this.isUp) throw Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });
      this.opened += 1;
      tell({ opened: this.opened });
      return { id: this.opened };
    },
    destroy: async () => {
      // Not at once: a shutdown that does not wait for it would be seen.
      await nextTurn();
      this.closed += 1;
      tell({ closed: this.closed });
    },
  };

  definition(): PoolDefinition<Answer, ConnectionPool<Answer>> {
    // Down only by what is told of each attempt: a pool that fails fast would ask the health checks for patience.
    return customPool({ factory: this.factory, minConnections: 1, maxConnections: 4, downAfter: Infinity });
  }
}

@Module({ providers: [CountedUpstream], exports: [CountedUpstream] })
export class UpstreamModule {}
