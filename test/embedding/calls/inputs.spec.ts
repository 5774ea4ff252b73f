import { vectorOf } from '../../support/embedding-server.js';
import { failure, Gate, numbered, right, startRig } from './rig.js';

const BLANKS = ['', ' \n\t', '\u2003'];

describe('a text without a word', () => {
  it('ends the call before anything is sent, and names its place', async () => {
    const { server, service } = await startRig();
    for (const blank of BLANKS) {
      const error = await failure(service.embedMany(['a', blank, 'b', '']));
      expect(error).toMatchObject({ code: 'EMBEDDING_INPUT', problem: 'blank', index: 1 });
      expect(await failure(service.embed(blank))).toMatchObject({ problem: 'blank', index: 0 });
    }
    await service.embed('after');
    expect(server.texts).toEqual(['after']);
  });

  it('is one failure among others with settle', async () => {
    const { server, service } = await startRig();
    const outcomes = await service.embedMany(['a', '', 'b', 7 as unknown as string], { settle: true });
    expect(outcomes).toMatchObject([
      { ok: true, vector: vectorOf('a') },
      { ok: false, error: { problem: 'blank', index: 1 } },
      { ok: true, vector: vectorOf('b') },
      { ok: false, error: { problem: 'type', index: 3 } },
    ]);
    expect(server.texts).toEqual(['a', 'b']);
  });

  it('is a vector of zeros as long as the others with onBlank: zero, each of its own memory', async () => {
    const { server, service } = await startRig({ onBlank: 'zero' });
    const vectors = await service.embedMany(['', 'a', ' ', 'b']);
    expect(vectors).toEqual([new Float32Array(8), vectorOf('a'), new Float32Array(8), vectorOf('b')]);
    vectors[0]!.fill(1);
    expect(vectors[2]).toEqual(new Float32Array(8));
    expect(server.texts).toEqual(['a', 'b']);
    // By now it is known how long vectors are.
    expect(await service.embed('')).toEqual(new Float32Array(8));
  });

  it('has as many zeros as dimensions are asked for, and is an error where nobody knows how many', async () => {
    const { server, service } = await startRig({ onBlank: 'zero' });
    expect(await service.embed('', { dimensions: 3 })).toEqual(new Float32Array(3));
    expect((await failure(service.embed(' '))).message).toContain('set dimensions');
    expect(await service.embedMany([' ', ''], { settle: true })).toMatchObject([{ ok: false }, { ok: false }]);
    expect(server.requests).toEqual([]);
  });

  it('is an empty vector with onBlank: skip, and moves no other from its place', async () => {
    const { server, service } = await startRig({ onBlank: 'skip' });
    const vectors = await service.embedMany(['', 'a', ' ', 'b']);
    expect(vectors).toEqual([new Float32Array(0), vectorOf('a'), new Float32Array(0), vectorOf('b')]);
    expect(await service.embedMany([' '], { as: 'number' })).toEqual([[]]);
    expect(server.texts).toEqual(['a', 'b']);
  });
});

describe('what a text is made of', () => {
  it('may be anything that is a text: halves of characters are sent as U+FFFD, for servers refuse them', async () => {
    const { server, service } = await startRig();
    const texts = ['a\ud800b', '\udc00', 'whole 😀', '"quoted"\n\u0000', 'é'.normalize('NFD')];
    const sent = ['a\ufffdb', '\ufffd', ...texts.slice(2)];
    expect(await service.embedMany(texts)).toEqual(right(sent));
    expect(server.texts).toEqual(sent);
  });

  it('is not touched: white space around it and newlines in it are the model’s to read', async () => {
    const { server, service } = await startRig();
    const texts = [' a', 'a', 'a ', 'a\nb', 'a b'];
    expect(await service.embedMany(texts)).toEqual(right(texts));
    expect(server.texts).toEqual(texts);
  });

  it('is where keys of objects are made of it too: names of what every object has are texts like others', async () => {
    const { service } = await startRig();
    const texts = ['__proto__', 'constructor', 'toString', 'hasOwnProperty'];
    expect(await service.embedMany(texts)).toEqual(right(texts));
    expect(await service.embedMany(texts)).toEqual(right(texts));
  });
});

describe('the form of the vectors', () => {
  it('is plain arrays of the same numbers with as: number, sent or cached', async () => {
    const { service } = await startRig();
    for (let time = 0; time < 2; time += 1) {
      expect(await service.embed('a', { as: 'number' })).toEqual(Array.from(vectorOf('a')));
      const many = await service.embedMany(['a', 'b', 'a'], { as: 'number' });
      expect(many).toEqual(['a', 'b', 'a'].map((text) => Array.from(vectorOf(text))));
      expect(many.every((vector) => Array.isArray(vector))).toBe(true);
    }
  });

  it('is an outcome for each text with settle, with what it cost, and nothing where it cost nothing', async () => {
    const { server, service } = await startRig();
    await service.embed('known');
    const outcomes = await service.embedMany(['known', 'new', 'new'], { settle: true });
    expect(outcomes).toMatchObject([
      { ok: true, vector: vectorOf('known'), tokens: 0 },
      { ok: true, vector: vectorOf('new'), tokens: 1 },
      { ok: true, vector: vectorOf('new'), tokens: 0 },
    ]);
    expect(server.requests).toHaveLength(2);
  });
});

describe('options of a call', () => {
  it('are refused all at once, before anything is sent', async () => {
    const { server, service } = await startRig();
    const wrong = { dimensions: 0, inputType: 'question', deadlineMs: -1, tenant: '', cach: false, signal: 'no' };
    for (const call of [service.embed('a', wrong as object), service.embedMany(['a'], wrong as object)]) {
      const error = await failure(call);
      expect(error.name).toBe('PoolOptionsError');
      for (const name of Object.keys(wrong)) expect(error.message).toContain(name);
    }
    const error = await failure(service.embedMany(['a'], { settle: 'yes', onProgress: 1 } as object));
    expect(error.message).toMatch(/settle: .*\n.*onProgress: /);
    expect(() => service.embedStream(['a'], { chunkSize: 0, tenant: 5 } as object)).toThrow(/tenant: /);
    await expect(service.embedInto(['a'], { write: async () => {} }, { sinkBatch: 0 })).rejects.toThrow(/sinkBatch: /);
    expect(server.requests).toEqual([]);
  });

  it('that are undefined are as those not given', async () => {
    const { server, service } = await startRig();
    const nothing = {
      dimensions: undefined,
      inputType: undefined,
      tenant: undefined,
      signal: undefined,
      as: undefined,
    };
    expect(await service.embed('a', nothing as object)).toEqual(vectorOf('a'));
    expect(await service.embed('a')).toEqual(vectorOf('a'));
    expect(server.requests).toHaveLength(1);
  });

  it('cache: false asks the server again, and keeps nothing of it', async () => {
    const { server, service } = await startRig();
    await service.embed('a', { cache: false });
    await service.embed('a');
    await service.embed('a', { cache: false });
    expect(server.texts).toEqual(['a', 'a', 'a']);
    await service.embed('a');
    expect(server.requests).toHaveLength(3);
  });

  it('end with the call: the texts of one that was aborted in the queue are not sent', async () => {
    const { server, service } = await startRig({ connections: 1 });
    const gate = new Gate(server);
    const first = service.embed('first');
    await gate.held(1);
    const controller = new AbortController();
    const aborted = failure(service.embedMany([...numbered(5), 'both'], { signal: controller.signal }));
    const other = service.embed('both');
    controller.abort(new Error('enough'));
    expect(await aborted).toMatchObject({ code: 'EMBEDDING_ABORTED', cause: { message: 'enough' } });
    gate.release();
    expect(await Promise.all([first, other])).toEqual(right(['first', 'both']));
    expect(server.texts).toEqual(['first', 'both']);
  });
});
