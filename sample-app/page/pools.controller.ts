import { Controller, Get, Header } from '@nestjs/common';
import { PoolRegistry, type PoolStats } from 'nestjs-pools';
import { type IndexProgress, IndexingService } from '../documents/indexing.service.js';

interface PoolReport extends PoolStats {
  /** Where its connections go; never with a secret. */
  readonly upstream: string;
}

@Controller('pools')
export class PoolsController {
  constructor(
    private readonly registry: PoolRegistry,
    private readonly indexing: IndexingService,
  ) {}

  @Get()
  @Header('cache-control', 'no-store')
  report(): { pools: Record<string, PoolReport>; indexing: IndexProgress } {
    const pools = this.registry
      .list()
      .map(({ name, pool, definition }) => [name, { upstream: definition.describe(), ...pool.stats() }] as const);
    return { pools: Object.fromEntries(pools), indexing: this.indexing.progress };
  }
}
