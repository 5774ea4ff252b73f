import { failure, Gate, numbered, right, startRig } from './rig.js';

describe('calls for one text', () => {
  it('go out at once and alone on an idle pool', async () => {
    const { server, service, sizes } = await startRig();
    const gate = new Gate(server);
    const first = service.embed('first');
    await gate.held(1);
    const second = service.embed('second');
    await gate.held(2);
    expect(sizes()).toEqual([1, 1]);
    gate.release();
    expect(await Promise.all([first, second])).toEqual(right(['first', 'second']));
  });

  it('wait for no timer: not a turn of the event loop goes by before a connection is asked for', async () => {
    const { pool, service } = await startRig();
    const embedding = service.embed('a');
    await Promise.resolve();
    await Promise.resolve();
    expect(service.stats().endpoints[0]!.inFlight).toBe(1);
    expect(pool.stats().waiting + pool.stats().activeConnections).toBe(1);
    await embedding;
  });

  it('share the next request, in their order, when they come while all connections are busy', async () => {
    const { server, service, sizes } = await startRig({ connections: 1 });
    const gate = new Gate(server);
    const first = service.embed('first');
    await gate.held(1);
    const texts = numbered(20);
    const calls = [];
    for (const text of texts) {
      calls.push(service.embed(text));
      await new Promise((resolve) => setImmediate(resolve));
    }
    gate.release();
    expect(await Promise.all([first, ...calls])).toEqual(right(['first', ...texts]));
    expect(sizes()).toEqual([1, 20]);
    expect(server.requests[1]!.texts).toEqual(texts);
  });

  it('are 64 in a request at most', async () => {
    const { server, service, sizes } = await startRig({ connections: 1 });
    const gate = new Gate(server);
    const first = service.embed('first');
    await gate.held(1);
    const calls = numbered(150).map((text) => service.embed(text));
    gate.release();
    expect(await Promise.all([first, ...calls])).toEqual(right(['first', ...numbered(150)]));
    expect(sizes()).toEqual([1, 64, 64, 22]);
  });

  it('are shared out over the free connections when they are made in the same turn', async () => {
    const { server, service, sizes } = await startRig({ connections: 4 });
    const gate = new Gate(server);
    const calls = numbered(40).map((text) => service.embed(text));
    await gate.held(4);
    expect(sizes()).toEqual([10, 10, 10, 10]);
    gate.release();
    expect(await Promise.all(calls)).toEqual(right(numbered(40)));
    expect(server.requests).toHaveLength(4);
  });

  it('are not spread more thinly than four to a request', async () => {
    const { service, sizes } = await startRig({ connections: 4 });
    await Promise.all(numbered(8).map((text) => service.embed(text)));
    expect(sizes()).toEqual([4, 4]);
  });

  it('go before the rest of a long list, and take some of it along', async () => {
    const { server, service } = await startRig({ connections: 1, batchSize: 32 });
    const gate = new Gate(server);
    const list = service.embedMany(numbered(100, 'list'));
    await gate.held(1);
    const single = service.embed('single');
    gate.release();
    expect(await single).toEqual(right(['single'])[0]);
    expect(await list).toEqual(right(numbered(100, 'list')));
    expect(server.requests[1]!.texts).toEqual(['single', ...numbered(63, 'list').slice(32)]);
  });

  it('with coalesce off, each go in a request of their own', async () => {
    const { server, service, sizes } = await startRig({ connections: 2, coalesce: false });
    const gate = new Gate(server);
    const calls = numbered(9).map((text) => service.embed(text));
    await gate.held(2);
    gate.release();
    expect(await Promise.all(calls)).toEqual(right(numbered(9)));
    expect(sizes()).toEqual(Array.from({ length: 9 }, () => 1));
  });

  it('with coalesce off, are not put beside the texts of a list either; the list still goes in batches', async () => {
    const { server, service, sizes } = await startRig({ connections: 1, coalesce: false, batchSize: 10 });
    const gate = new Gate(server);
    const first = service.embed('first');
    await gate.held(1);
    const lists = [service.embedMany(numbered(15, 'one')), service.embedMany(numbered(5, 'other'))];
    const single = service.embed('single');
    gate.release();
    await Promise.all([first, single, ...lists]);
    expect(sizes()).toEqual([1, 1, 10, 5, 5]);
    expect(server.requests[1]!.texts).toEqual(['single']);
  });

  it('fail alone: a text that the server refuses costs the others of its request nothing', async () => {
    const { server, service } = await startRig({ connections: 1 });
    const gate = new Gate(server);
    const first = service.embed('first');
    await gate.held(1);
    const calls = [...numbered(6), 'poison'].map((text) => service.embed(text).then((vector) => [vector], failureOf));
    gate.release();
    server.script = ({ texts }) =>
      texts.includes('poison') ? { error: [400, "'$.input' is invalid", 'invalid_request_error'] } : undefined;
    await first;
    const outcomes = await Promise.all(calls);
    expect(outcomes.slice(0, 6)).toEqual(right(numbered(6)).map((vector) => [vector]));
    expect(outcomes[6]).toMatchObject({ code: 'EMBEDDING_INPUT', problem: 'rejected', index: 0, status: 400 });
  });

  it('name the place that the text has in the call, for each of two callers of the same text', async () => {
    const { server, service } = await startRig({ connections: 1 });
    const gate = new Gate(server);
    const first = service.embed('first');
    await gate.held(1);
    const single = failure(service.embed('poison'));
    const list = failure(service.embedMany(['good', 'better', 'poison']));
    const settled = service.embedMany(['poison', 'fine'], { settle: true });
    gate.release();
    server.script = ({ texts }) => (texts.includes('poison') ? { error: [400, "'$.input' is invalid"] } : undefined);
    await first;
    expect((await single).message).toMatch(/^text 0: the server refuses it/);
    expect((await list).message).toMatch(/^text 2: the server refuses it/);
    expect(await settled).toMatchObject([{ ok: false, error: { index: 0 } }, { ok: true }]);
  });
});

const failureOf = (error: unknown): unknown => error;
