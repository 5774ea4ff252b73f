import 'reflect-metadata';
import { Readable } from 'node:stream';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { NEVER, Observable } from 'rxjs';
import { ConnectionPool, UsePool } from 'nestjs-pools';
import { GatedFactory, type GatedConnection, ManualClock } from 'nestjs-pools/testing';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;
const MOST_TURNS = 200;

class Forgotten {
  constructor(readonly pool: ConnectionPool<GatedConnection>) {}

  @UsePool((self: Forgotten) => self.pool)
  async *rows(): AsyncGenerator<number> {
    yield 1;
    yield 2;
  }

  @UsePool((self: Forgotten) => self.pool)
  async stream(): Promise<Readable> {
    return Readable.from(['never read']);
  }

  @UsePool((self: Forgotten) => self.pool)
  async values(): Promise<Observable<never>> {
    return NEVER;
  }
}

// A consumer that leaves without a word leaves nothing to hear; only that nobody holds its iterator any more.
describe('what @UsePool leases for somebody who forgets it', () => {
  it.each<[string, (forgotten: Forgotten) => Promise<unknown>]>([
    ['an iteration that was begun', (forgotten) => forgotten.rows().next()],
    ['a stream that is never read', (forgotten) => forgotten.stream()],
    ['an Observable that is never subscribed to', (forgotten) => forgotten.values()],
  ])('comes back when it is garbage: %s', async (_what, begin) => {
    const clock = new ManualClock();
    const factory = new GatedFactory();
    const pool = new ConnectionPool({ name: 'documents', factory, clock, reclaimLeaked: true, minConnections: 0 });
    const reclaimed: number[] = [];
    pool.on('reclaim', ({ id }) => reclaimed.push(id));
    await begin(new Forgotten(pool)).then(() => undefined);
    expect(pool.stats().activeConnections).toBe(1);
    await clock.advance(1_000);
    for (let turn = 0; turn < MOST_TURNS && reclaimed.length === 0; turn += 1) {
      collectGarbage();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect([reclaimed, pool.stats().activeConnections]).toEqual([[1], 0]);
    await pool.close();
  });
});
