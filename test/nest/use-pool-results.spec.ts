import 'reflect-metadata';
import { type EventEmitter, getEventListeners } from 'node:events';
import { PassThrough, Readable, Stream } from 'node:stream';
import { text } from 'node:stream/consumers';
import { StreamableFile } from '@nestjs/common';
import { concat, lastValueFrom, NEVER, Observable, of, take, toArray } from 'rxjs';
import { ConnectionPool, Leased, type PoolError, UsePool } from 'nestjs-pools';
import { GatedFactory, type GatedConnection } from 'nestjs-pools/testing';
import { eventually } from '../support/http-server.js';

type Pool = ConnectionPool<GatedConnection>;

const uses = UsePool<Results>((self) => self.pool);
const usesAs = (returns: 'iterable' | 'observable' | 'stream') => UsePool<Results>((self) => self.pool, { returns });

class Results {
  readonly source = new PassThrough();

  constructor(readonly pool: Pool) {}

  @uses
  async *rows(
    count: number,
    @Leased() connection?: GatedConnection,
  ): AsyncGenerator<string, string, string | undefined> {
    let heard = '';
    for (let row = 1; row <= count; row += 1) heard += (yield `${row} by ${connection!.id}`) ?? '';
    return heard;
  }

  @uses
  async *breaks(): AsyncGenerator<number> {
    yield 1;
    throw new Error('the cursor broke');
  }

  @uses
  watch(@Leased() connection?: GatedConnection): Observable<string> {
    return of(`a by ${connection!.id}`, `b by ${connection!.id}`);
  }

  @UsePool((self: Results) => self.pool, { signal: '_signal' })
  watchUntil(_signal: AbortSignal): Observable<string> {
    return of('until then');
  }

  @uses
  watchForEver(): Observable<number> {
    return concat(of(1), NEVER);
  }

  @uses
  download(@Leased() connection?: GatedConnection): Readable {
    return Readable.from([`bytes of ${connection!.id}`]);
  }

  @uses
  async stream(): Promise<Readable> {
    return this.source;
  }

  @uses
  async file(): Promise<StreamableFile> {
    return new StreamableFile(this.source);
  }

  @uses
  async observable(): Promise<Observable<number>> {
    return of(1, 2);
  }

  @uses
  async cursor(): Promise<Cursor> {
    return new Cursor();
  }

  @uses
  async webStream(): Promise<ReadableStream> {
    return new Response('over the web').body!;
  }

  @uses
  async response(): Promise<Response> {
    return new Response('over the web', { status: 201, headers: { 'x-one': '1' } });
  }

  pulls = 0;

  @uses
  async lazyWebStream(): Promise<ReadableStream> {
    const pull = (controller: ReadableStreamDefaultController): void => controller.enqueue((this.pulls += 1));
    return new ReadableStream({ pull }, { highWaterMark: 0 });
  }

  @uses
  async oldStream(): Promise<NodeJS.ReadableStream> {
    return new Stream() as unknown as NodeJS.ReadableStream;
  }

  @uses
  async ended(): Promise<Readable> {
    const stream = Readable.from(['gone']);
    stream.destroy();
    await new Promise((resolve) => stream.once('close', resolve));
    return stream;
  }

  @usesAs('iterable')
  listed(): AsyncIterable<number> {
    return (async function* () {
      yield 7;
    })();
  }

  // Its declared type is no class, so nothing tells before the call that it gives no promise.
  @uses
  unforeseen(): AsyncIterable<number> {
    return (async function* () {})();
  }
}

/** What SDKs return: an iterable with methods of its own, and with private fields. */
class Cursor implements AsyncIterable<number> {
  readonly #rows = [1, 2, 3];

  get size(): number {
    return this.#rows.length;
  }

  first(): number {
    return this.#rows[0]!;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<number> {
    yield* this.#rows;
  }
}

let pool: Pool;
let results: Results;

beforeEach(() => {
  pool = new ConnectionPool({
    name: 'documents',
    factory: new GatedFactory(),
    maxConnections: 1,
    acquireTimeoutMs: 50,
  });
  results = new Results(pool);
});
afterEach(async () => {
  expect(pool.stats().activeConnections).toBe(0);
  await pool.close();
});

const isOut = (): number => pool.stats().activeConnections;
const isBack = (): Promise<void> => eventually(() => isOut() === 0, 'the connection came back');

describe('@UsePool on an async generator', () => {
  it('leases when the first value is asked for, and gives back when the last was given', async () => {
    const rows = results.rows(2);
    expect(isOut()).toBe(0);
    expect(await rows.next()).toEqual({ done: false, value: '1 by 1' });
    expect(isOut()).toBe(1);
    expect(await rows.next('x')).toEqual({ done: false, value: '2 by 1' });
    expect(await rows.next('y')).toEqual({ done: true, value: 'xy' });
    expect(isOut()).toBe(0);
  });

  it('gives back when its consumer leaves early', async () => {
    for await (const row of results.rows(5)) {
      expect(row).toBe('1 by 1');
      break;
    }
    expect(isOut()).toBe(0);
  });

  it('gives back when it fails, and when its consumer throws into it', async () => {
    const broken = results.breaks();
    await broken.next();
    await expect(broken.next()).rejects.toThrow('the cursor broke');
    expect(isOut()).toBe(0);
    const rows = results.rows(5);
    await rows.next();
    await expect(rows.throw(new Error('enough'))).rejects.toThrow('enough');
  });

  it('leases nothing when it is left before it began', async () => {
    const rows = results.rows(2);
    await rows.return('');
    expect(pool.stats().acquired).toEqual({ direct: 0, waited: 0 });
  });

  it('takes the word of an option for a method whose declared type is no class', async () => {
    const listed: number[] = [];
    for await (const value of results.listed()) listed.push(value);
    expect(listed).toEqual([7]);
    await expect(results.unforeseen() as unknown as Promise<unknown>).rejects.toThrow(
      "on Results.unforeseen(): it returned an async iterable where a promise was expected; nothing told so before the call, so say it: { returns: 'iterable' }",
    );
  });
});

describe('@UsePool on a method that returns an Observable', () => {
  it('leases for each subscription, from its beginning to its end', async () => {
    const watched = results.watch();
    expect(pool.stats().acquired).toEqual({ direct: 0, waited: 0 });
    expect(await lastValueFrom(watched.pipe(toArray()))).toEqual(['a by 1', 'b by 1']);
    expect(await lastValueFrom(watched.pipe(toArray()))).toEqual(['a by 1', 'b by 1']);
    expect(pool.stats().released).toBe(2);
  });

  it('gives back when it is unsubscribed', async () => {
    const subscription = results.watchForEver().subscribe();
    await eventually(() => isOut() === 1, 'it is leased');
    subscription.unsubscribe();
    expect(isOut()).toBe(0);
    expect(await lastValueFrom(results.watchForEver().pipe(take(1)))).toBe(1);
  });

  it('leaves the queue when it is unsubscribed while it waits', async () => {
    const lease = await pool.acquire();
    const subscription = results.watch().subscribe();
    await eventually(() => pool.stats().waiting === 1, 'it waits');
    subscription.unsubscribe();
    expect(pool.stats()).toMatchObject({ waiting: 0, aborted: 1 });
    lease.release();
  });

  it("leaves the queue by the caller's signal, and leaves no listener on it", async () => {
    const lease = await pool.acquire();
    const caller = new AbortController();
    const watching = lastValueFrom(results.watchUntil(caller.signal)).catch((error: PoolError) => error.code);
    await eventually(() => pool.stats().waiting === 1, 'it waits');
    expect(getEventListeners(caller.signal, 'abort')).toHaveLength(1);
    caller.abort();
    expect([await watching, pool.stats().waiting]).toEqual(['POOL_ACQUIRE_ABORTED', 0]);
    await expect(lastValueFrom(results.watchUntil(caller.signal))).rejects.toMatchObject({
      code: 'POOL_ACQUIRE_ABORTED',
    });
    lease.release();
    const other = new AbortController();
    expect(await lastValueFrom(results.watchUntil(other.signal))).toBe('until then');
    expect(getEventListeners(other.signal, 'abort')).toEqual([]);
  });

  it('gives back what it was just handed when it is unsubscribed', async () => {
    const lease = await pool.acquire();
    const subscription = results.watch().subscribe();
    await eventually(() => pool.stats().waiting === 1, 'it waits');
    pool.on('acquire', () => subscription.unsubscribe());
    lease.release();
    await eventually(() => pool.stats().released === 2, 'both came back');
    expect(pool.stats().acquired).toEqual({ direct: 0, waited: 2 });
  });

  it('fails with the error of the pool where no connection can be had', async () => {
    const lease = await pool.acquire();
    await expect(lastValueFrom(results.watch())).rejects.toMatchObject({ code: 'POOL_ACQUIRE_TIMEOUT' });
    lease.release();
  });

  it('holds the lease of an async method until the Observable has ended', async () => {
    const values = await results.observable();
    expect(isOut()).toBe(1);
    expect(await lastValueFrom(values.pipe(toArray()))).toEqual([1, 2]);
    await isBack();
    await expect(lastValueFrom(values)).rejects.toThrow('made under a lease that has ended; call the method again');
  });
});

describe('@UsePool on a method that returns a stream', () => {
  it('gives a stream that leases with the first read, and gives back at its end', async () => {
    const download = results.download();
    expect(isOut()).toBe(0);
    expect(await text(download)).toBe('bytes of 1');
    await isBack();
    expect(pool.stats().released).toBe(1);
  });

  it('holds the lease of an async method until the very stream that it returned has ended', async () => {
    const stream = await results.stream();
    expect(stream).toBe(results.source);
    expect(isOut()).toBe(1);
    results.source.end('all of it');
    expect(await text(stream)).toBe('all of it');
    await isBack();
  });

  it('gives back when the stream is destroyed, breaks, or had ended before', async () => {
    (await results.stream()).destroy();
    await isBack();
    const broken = await new Results(pool).stream();
    broken.once('error', () => undefined).destroy(new Error('cut off'));
    await isBack();
    expect((await results.ended()).closed).toBe(true);
    await isBack();
  });

  it("holds it for Nest's StreamableFile", async () => {
    const file = await results.file();
    expect(file).toBeInstanceOf(StreamableFile);
    expect(isOut()).toBe(1);
    results.source.end('a file');
    expect(await text(file.getStream())).toBe('a file');
    await isBack();
  });

  it('holds it for web streams and responses, read or cancelled', async () => {
    const stream = await results.webStream();
    expect(isOut()).toBe(1);
    expect(await new Response(stream).text()).toBe('over the web');
    await isBack();
    const response = await results.response();
    expect([response.status, response.headers.get('x-one'), isOut()]).toEqual([201, '1', 1]);
    expect(await response.text()).toBe('over the web');
    await isBack();
    await (await results.webStream()).cancel();
    await isBack();
  });

  it('holds it for a stream of the old kind, which tells its end and no more', async () => {
    const stream = (await results.oldStream()) as unknown as EventEmitter;
    expect(isOut()).toBe(1);
    stream.emit('end');
    await isBack();
    const broken = (await results.oldStream()) as unknown as EventEmitter;
    expect(() => broken.emit('error', new Error('nobody listens'))).toThrow('nobody listens');
    await isBack();
  });

  it('reads nothing of a web stream before its consumer asks', async () => {
    const reader = (await results.lazyWebStream()).getReader();
    await new Promise((resolve) => setImmediate(resolve));
    expect(results.pulls).toBe(0);
    await reader.read();
    expect(results.pulls).toBe(1);
    await reader.cancel();
    await isBack();
  });

  it('holds it for an iterable with methods of its own, until it has been iterated', async () => {
    const cursor = await results.cursor();
    expect([cursor instanceof Cursor, cursor.size, cursor.first(), isOut()]).toEqual([true, 3, 1, 1]);
    const rows: number[] = [];
    for await (const row of cursor) rows.push(row);
    expect(rows).toEqual([1, 2, 3]);
    await isBack();
  });
});
