import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type EmbeddingProgress, fileCheckpoint, type VectorSink } from 'nestjs-pools/embedding';
import { ManualClock } from 'nestjs-pools/testing';
import { from, lastValueFrom, Subject, take, toArray } from 'rxjs';
import { vectorOf } from '../../support/embedding-server.js';
import { eventually } from '../../support/http-server.js';
import { afterTest, answerWith, failure, Gate, numbered, startRig } from './rig.js';

interface Row {
  readonly id: number;
  readonly body: string;
}

const rows = (count: number): Row[] => Array.from({ length: count }, (_none, id) => ({ id, body: `row ${id}` }));
const REFUSED: { readonly error: [number, string] } = { error: [400, "'$.input' is invalid"] };

describe('embedStream()', () => {
  it('gives each item its own vector, in chunks of the batch size, over as many connections as there are', async () => {
    const { server, service } = await startRig({ connections: 3, batchSize: 10 });
    const gate = new Gate(server);
    const got: Row[] = [];
    const stream = service.embedStream(rows(95), { text: ({ body }) => body });
    const first = stream.next();
    await gate.held(3);
    gate.release();
    got.push(((await first).value as { item: Row }).item);
    for await (const { item, index, vector } of stream) {
      expect(index).toBe(item.id);
      expect(vector).toEqual(vectorOf(item.body));
      got.push(item);
    }
    expect(got.toSorted((one, other) => one.id - other.id)).toEqual(rows(95));
    expect(server.requests).toHaveLength(10);
    expect(server.mostInFlight).toBe(3);
  });

  it('hands out what is there first, and with ordered in the order of the source', async () => {
    for (const ordered of [false, true]) {
      const { server, service } = await startRig({ connections: 2, batchSize: 2, cache: false });
      let release!: () => void;
      const isLate = new Promise<void>((resolve) => (release = resolve));
      server.script = async ({ texts }) => {
        if (texts.includes('text 0')) await isLate;
        return undefined;
      };
      const stream = service.embedStream(numbered(6), { ordered });
      const first = stream.next();
      await eventually(() => server.requests.length >= (ordered ? 3 : 2), 'requests beside the first');
      if (!ordered) expect((await first).value).toMatchObject({ index: 2 });
      release();
      const indexes = ordered ? [((await first).value as { index: number }).index] : [2];
      for await (const { index } of stream) indexes.push(index);
      expect(ordered ? indexes : indexes.toSorted((one, other) => one - other)).toEqual([0, 1, 2, 3, 4, 5]);
    }
  });

  it('ends with the first failure, or hands it out with settle', async () => {
    const { server, service } = await startRig({ connections: 1, batchSize: 4 });
    server.script = ({ texts }) => (texts.includes('text 5') ? REFUSED : undefined);
    const failures: unknown[] = [];
    for await (const { index, item, outcome } of service.embedStream(numbered(12), { settle: true })) {
      if (outcome.ok) expect(outcome.vector).toEqual(vectorOf(item));
      else failures.push([index, outcome.error.code]);
    }
    expect(failures).toEqual([[5, 'EMBEDDING_INPUT']]);
    const all = async (): Promise<void> => {
      for await (const _item of service.embedStream(numbered(12))) continue;
    };
    expect(await failure(all())).toMatchObject({ code: 'EMBEDDING_INPUT', problem: 'rejected' });
  });

  it('asks for what the call asks for: input type, dimensions, fields', async () => {
    const { server, service } = await startRig({ dialect: 'voyage' });
    const own = { inputType: 'document', dimensions: 4, extraBody: { user: 'u' }, tenant: 't' } as const;
    for await (const { item, vector } of service.embedStream(['a', 'b'], own)) {
      expect(vector).toEqual(vectorOf(item, 4, 'document'));
    }
    expect(server.requests.map(({ body }) => body)).toMatchObject([{ input_type: 'document', user: 'u' }]);
  });

  it('stops asking when the consumer breaks off', async () => {
    const { server, service, pool } = await startRig({ connections: 2, batchSize: 5 });
    let read = 0;
    const source = function* (): Iterable<string> {
      for (;;) yield `text ${(read += 1)}`;
    };
    for await (const { index } of service.embedStream(source())) if (index >= 7) break;
    const { length } = server.requests;
    await eventually(() => service.stats().pendingCalls === 0, 'all calls have ended');
    await eventually(() => pool.stats().activeConnections === 0, 'the connections are back');
    expect(server.requests).toHaveLength(length);
    expect(read).toBeLessThan(60);
  });
});

describe('embed$()', () => {
  it('emits what an Observable’s items come to, and completes', async () => {
    const { service } = await startRig();
    const items = await lastValueFrom(service.embed$(from(numbered(10)), { ordered: true }).pipe(toArray()));
    expect(items.map(({ item }) => item)).toEqual(numbered(10));
    for (const { item, vector } of items) expect(vector).toEqual(vectorOf(item));
  });

  it('ends what is under way, and its source, when nobody listens any more', async () => {
    const { service, pool } = await startRig({ connections: 1, batchSize: 1 });
    const source = new Subject<string>();
    const taken = lastValueFrom(service.embed$(source).pipe(take(2), toArray()));
    for (const text of numbered(20)) source.next(text);
    expect((await taken).map(({ index }) => index)).toEqual([0, 1]);
    await eventually(() => service.stats().pendingCalls === 0 && !source.observed, 'all has ended');
    expect(pool.stats().activeConnections).toBe(0);
  });

  it('fails by what its source fails by, and by what the server says', async () => {
    const { server, service } = await startRig();
    const source = new Subject<string>();
    const broken = failure(lastValueFrom(service.embed$(source)));
    source.error(new Error('source broke'));
    expect((await broken).message).toContain('source broke');
    server.script = () => REFUSED;
    expect(await failure(lastValueFrom(service.embed$(from(['a']))))).toMatchObject({ code: 'EMBEDDING_INPUT' });
  });
});

class Sink<T> implements VectorSink<T> {
  readonly sizes: number[] = [];
  readonly kept = new Map<number, Float32Array>();
  write: VectorSink<T>['write'] = async (batch) => {
    this.sizes.push(batch.length);
    for (const { index, vector } of batch) this.kept.set(index, vector);
  };
}

describe('embedInto()', () => {
  it('writes every vector once, and sums up what it took', async () => {
    const { server, service } = await startRig({ batchSize: 10, pricePerMillionTokens: 2 });
    server.script = (request) => answerWith(request, 5 * request.texts.length);
    const sink = new Sink<Row>();
    const summary = await service.embedInto(rows(95), sink, { text: ({ body }) => body, sinkBatch: 30 });
    expect(summary).toMatchObject({ done: 95, failed: 0, tokens: 475 });
    expect(summary.cost).toBeCloseTo((475 * 2) / 1e6, 12);
    expect(sink.kept.size).toBe(95);
    for (const [index, vector] of sink.kept) expect(vector).toEqual(vectorOf(`row ${index}`));
    expect(service.costs()).toMatchObject([{ tokens: 475, inputs: 95, cost: summary.cost }]);
  });

  it('tells of its progress, tokens, cost and how long it will still take', async () => {
    const clock = new ManualClock();
    const { server, service } = await startRig({
      connections: 1,
      batchSize: 10,
      pricePerMillionTokens: 1_000_000,
      parts: { clock },
    });
    server.script = async (request) => {
      await clock.advance(1_000);
      return answerWith(request, request.texts.length);
    };
    const seen: EmbeddingProgress[] = [];
    const onProgress = (progress: EmbeddingProgress): unknown => seen.push(progress);
    await service.embedInto(numbered(40), new Sink(), { total: 40, onProgress });
    expect(seen.at(-1)).toMatchObject({ done: 40, failed: 0, total: 40, tokens: 40, cost: 40, etaMs: 0 });
    expect(seen.at(-1)!.elapsedMs).toBe(4_000);
    const [first] = seen;
    expect(first).toMatchObject({ done: 10, tokens: 10, cost: 10, elapsedMs: 1_000 });
    expect(first!.perSecond).toBeCloseTo(10, 6);
    expect(first!.etaMs).toBeCloseTo(3_000, 3);
  });

  it('leaves out what cannot be embedded, and tells of it', async () => {
    const { server, service } = await startRig({ connections: 1, batchSize: 4 });
    server.script = ({ texts }) => (texts.some((text) => / [26]$/.test(text)) ? REFUSED : undefined);
    const failed: number[] = [];
    const sink = new Sink<string>();
    const summary = await service.embedInto(numbered(9), sink, { onFailure: ({ index }) => failed.push(index) });
    expect(summary).toMatchObject({ done: 7, failed: 2 });
    expect(failed).toEqual([2, 6]);
    expect([...sink.kept.keys()]).toEqual([0, 1, 3, 4, 5, 7, 8]);
  });

  it('goes on where a run that failed had come to, and embeds nothing twice that the sink had kept', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'embed-'));
    afterTest(() => rm(folder, { recursive: true }));
    const checkpoint = fileCheckpoint(join(folder, 'cursor'));
    const { server, service } = await startRig({ connections: 1, batchSize: 5, cache: false });
    const sink = new Sink<string>();
    const { write } = sink;
    let writes = 0;
    sink.write = (batch, signal) =>
      (writes += 1) > 2 ? Promise.reject(new Error('the sink broke')) : write(batch, signal);
    const options = { checkpoint, sinkBatch: 10 };
    await expect(service.embedInto(numbered(50), sink, options)).rejects.toThrow('the sink broke');
    expect(await checkpoint.load()).toBe(20);
    sink.write = write;
    const from = server.texts.length;
    expect(await service.embedInto(numbered(50), sink, options)).toMatchObject({ done: 30 });
    expect(server.texts.slice(from)).toEqual(numbered(50).slice(20));
    expect([...sink.kept.keys()]).toEqual(numbered(50).map((_text, index) => index));
    expect(await checkpoint.load()).toBe(50);
  });

  it('lets single calls through between its requests', async () => {
    const { server, service } = await startRig({ connections: 1, batchSize: 10 });
    const gate = new Gate(server);
    const all = service.embedInto(numbered(60), new Sink());
    await gate.held(1);
    const single = service.embed('single');
    gate.release();
    expect(await single).toEqual(vectorOf('single'));
    await all;
    expect(server.requests[1]!.texts[0]).toBe('single');
  });

  it('waits for the sink, and reads no further than it must meanwhile', async () => {
    const { server, service } = await startRig({ connections: 1, batchSize: 5 });
    let read = 0;
    const source = function* (): Iterable<string> {
      while (read < 500) yield `text ${(read += 1)}`;
    };
    let open!: () => void;
    const isOpen = new Promise<void>((resolve) => (open = resolve));
    const sink = new Sink<string>();
    const { write } = sink;
    sink.write = async (batch, signal) => {
      await isOpen;
      return write(batch, signal);
    };
    const all = service.embedInto(source(), sink, { sinkBatch: 10 });
    await eventually(() => server.requests.length >= 4, 'some requests');
    for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(read).toBeLessThanOrEqual(50);
    open();
    expect(await all).toMatchObject({ done: 500 });
  });
});
