import { Controller, Inject, Post } from '@nestjs/common';
import { type ConnectionPool, InjectPool, type Lease } from 'nestjs-pools';
import { AnswerService } from './answer.service.js';
import { type Answer, CountedUpstream } from './counted-upstream.js';

/** By this the test has its way with the upstream and the pool. */
@Controller('upstream')
export class UpstreamController {
  private held: Lease<Answer>[] = [];
  private waiting: Promise<number> | undefined;

  constructor(
    private readonly answers: AnswerService,
    @Inject(CountedUpstream) private readonly upstream: CountedUpstream,
    @InjectPool('answers') private readonly pool: ConnectionPool<Answer>,
  ) {}

  @Post('down')
  down(): void {
    this.upstream.isUp = false;
    this.pool.evict();
  }

  @Post('up')
  up(): void {
    this.upstream.isUp = true;
  }

  /** Takes all connections, and has one more acquire wait. */
  @Post('exhaust')
  async exhaust(): Promise<void> {
    const { maxConnections } = this.pool.stats();
    this.held = await Promise.all(Array.from({ length: maxConnections }, () => this.pool.acquire()));
    this.waiting = this.answers.leased();
  }

  @Post('let-go')
  async letGo(): Promise<void> {
    for (const lease of this.held) lease.release();
    await this.waiting;
  }
}
