import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import { type ConnectionPool, InjectPool, Leased, UsePool } from 'nestjs-pools';
import type { Answer } from './counted-upstream.js';
import { tell } from './tell.js';

/** Every way to have a connection; each tells which one it was. */
@Injectable()
export class AnswerService implements OnModuleDestroy {
  /** What a consumer writes no sooner than when the application goes. */
  private readonly unwritten = ['the last words'];

  constructor(@InjectPool('answers') private readonly pool: ConnectionPool<Answer>) {}

  byHand(): Promise<number> {
    return this.pool.use(({ id }) => id);
  }

  @UsePool('answers')
  async leased(@Leased() answer?: Answer): Promise<number> {
    return answer!.id;
  }

  @UsePool('answers', { nested: 'join' })
  async joined(@Leased('answers') answer?: Answer): Promise<number> {
    return answer!.id;
  }

  /** Nest 11 asks again for a second close, when the pool may be closed already; then nothing is left to be written. */
  async onModuleDestroy(): Promise<void> {
    const unwritten = this.unwritten.splice(0);
    if (unwritten.length > 0) tell({ wrote: unwritten, by: await this.byHand() });
  }
}
