import { once } from 'node:events';
import { Agent, request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { connect } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  startEmbeddingUpstream,
  type EmbeddingUpstream,
  type EmbeddingUpstreamOptions,
} from '../../sample-app/embedding-upstream/embedding-upstream.js';
import { countTokens, vectorize } from '../../sample-app/embedding-upstream/text-vectorizer.js';

const KEY = 'sk-expected-5e7d';
const MODEL = 'local-hash-384';

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly json: any;
}

interface Call {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Record<string, string | number>;
  readonly body?: unknown;
  readonly agent?: Agent;
}

const running: EmbeddingUpstream[] = [];

async function start(options: EmbeddingUpstreamOptions = {}): Promise<EmbeddingUpstream> {
  const upstream = await startEmbeddingUpstream(options);
  running.push(upstream);
  return upstream;
}

afterEach(async () => {
  await Promise.all(running.splice(0).map((upstream) => upstream.close()));
});

/** One request over a real socket. A body that is no string or buffer is sent as JSON. */
async function call(upstream: EmbeddingUpstream, { method = 'GET', path = '/health', ...rest }: Call): Promise<Answer> {
  const { body, agent, headers } = rest;
  const payload = body === undefined || typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
  const request = httpRequest({ port: upstream.port, method, path, agent: agent ?? false, headers });
  request.end(payload);
  const [response] = await once(request, 'response');
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  return {
    status: response.statusCode,
    headers: response.headers,
    text,
    json: text === '' ? undefined : JSON.parse(text),
  };
}

function embed(upstream: EmbeddingUpstream, body: unknown, call_: Call = {}): Promise<Answer> {
  const headers = { 'content-type': 'application/json', ...call_.headers };
  return call(upstream, { method: 'POST', path: '/v1/embeddings', ...call_, body, headers });
}

/** Turns of the event loop until something has happened; the test's own time limit ends the wait. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await nextTurn();
}

function cosine(left: Float32Array, right: Float32Array): number {
  return left.reduce((sum, value, index) => sum + value * (right[index] ?? 0), 0);
}

describe('POST /v1/embeddings', () => {
  it('answers a single text exactly as OpenAI does', async () => {
    const upstream = await start();
    const { status, headers, json } = await embed(upstream, { model: MODEL, input: 'warm sockets', user: 'u-1' });
    const tokens = countTokens('warm sockets');
    expect(status).toBe(200);
    expect(json).toEqual({
      object: 'list',
      data: [{ object: 'embedding', index: 0, embedding: Array.from(vectorize('warm sockets', 384)) }],
      model: MODEL,
      usage: { prompt_tokens: tokens, total_tokens: tokens },
    });
    expect(headers['content-type']).toBe('application/json');
    expect(headers['x-request-id']).toMatch(/^req_[0-9a-f]{32}$/);
    expect(headers['openai-processing-ms']).toMatch(/^\d+$/);
  });

  it('keeps the order of the inputs and numbers them', async () => {
    const upstream = await start();
    const input = Array.from({ length: 300 }, (_, index) => `text number ${index}`);
    const { json } = await embed(upstream, { model: MODEL, input, dimensions: 64 });
    expect(json.data.map((item: any) => item.index)).toEqual(input.map((_, index) => index));
    expect(json.data.map((item: any) => item.embedding)).toEqual(input.map((text) => Array.from(vectorize(text, 64))));
  });

  it('takes 2048 inputs and not one more', async () => {
    const upstream = await start();
    const ask = (count: number) => embed(upstream, { model: MODEL, input: Array(count).fill('a text'), dimensions: 8 });
    expect((await ask(2048)).json.data).toHaveLength(2048);
    expect((await ask(2049)).json.error.message).toBe(
      "'$.input' is invalid: the array has 2049 items, at most 2048 are allowed.",
    );
  });

  it('sends the same vectors as little-endian base64 when asked to', async () => {
    const upstream = await start();
    const input = ['one text', 'another text'];
    const floats = await embed(upstream, { model: MODEL, input, encoding_format: 'float' });
    const packed = await embed(upstream, { model: MODEL, input, encoding_format: 'base64' });
    const decoded = packed.json.data.map((item: any) => {
      const bytes = Buffer.from(item.embedding, 'base64');
      return Array.from({ length: bytes.length / 4 }, (_, index) => bytes.readFloatLE(index * 4));
    });
    expect(decoded).toEqual(floats.json.data.map((item: any) => item.embedding));
  });

  it('gives vectors of unit length in the dimension that was asked for', async () => {
    const upstream = await start({ dimensions: 256 });
    for (const dimensions of [undefined, 1, 2, 3, 1536, 4096]) {
      const { json } = await embed(upstream, { model: MODEL, input: 'how long does a connection live', dimensions });
      const vector: number[] = json.data[0].embedding;
      expect(vector).toHaveLength(dimensions ?? 256);
      expect(Math.hypot(...vector)).toBeCloseTo(1, 5);
    }
  });

  it('serves the model that it was told to', async () => {
    const upstream = await start({ model: 'my/own' });
    expect((await embed(upstream, { model: 'my/own', input: 'x' })).json.model).toBe('my/own');
    expect((await call(upstream, { path: '/v1/models/my/own' })).json.id).toBe('my/own');
  });

  const refused: [why: string, body: unknown, status: number, error: object][] = [
    ['an empty text', { model: MODEL, input: '' }, 400, { param: 'input' }],
    ['a blank text', { model: MODEL, input: ' \n\t ' }, 400, { param: 'input' }],
    ['an empty text in an array', { model: MODEL, input: ['fine', ''] }, 400, { param: 'input' }],
    ['a blank text in an array', { model: MODEL, input: ['fine', ' '] }, 400, { param: 'input' }],
    ['an empty array', { model: MODEL, input: [] }, 400, { param: 'input' }],
    [
      'an array of tokens',
      { model: MODEL, input: [1, 2] },
      400,
      { param: 'input', message: expect.stringContaining('arrays of tokens') },
    ],
    [
      'arrays of tokens',
      { model: MODEL, input: [[1], [2]] },
      400,
      { param: 'input', message: expect.stringContaining('arrays of tokens') },
    ],
    ['an input that is an object', { model: MODEL, input: { text: 'x' } }, 400, { param: 'input' }],
    ['an input that is null', { model: MODEL, input: null }, 400, { param: 'input' }],
    ['an item that is null', { model: MODEL, input: ['fine', null] }, 400, { param: 'input' }],
    ['no input', { model: MODEL }, 400, { param: 'input', message: "Missing required parameter: 'input'." }],
    ['no model', { input: 'x' }, 400, { param: 'model' }],
    ['a model that is no string', { model: 7, input: 'x' }, 400, { param: 'model' }],
    ['another model', { model: 'gpt', input: 'x' }, 404, { param: 'model', code: 'model_not_found' }],
    ['a dimension of zero', { model: MODEL, input: 'x', dimensions: 0 }, 400, { param: 'dimensions' }],
    ['a dimension of 4097', { model: MODEL, input: 'x', dimensions: 4097 }, 400, { param: 'dimensions' }],
    ['half a dimension', { model: MODEL, input: 'x', dimensions: 1.5 }, 400, { param: 'dimensions' }],
    ['a dimension in a string', { model: MODEL, input: 'x', dimensions: '8' }, 400, { param: 'dimensions' }],
    ['another encoding', { model: MODEL, input: 'x', encoding_format: 'hex' }, 400, { param: 'encoding_format' }],
    [
      'an encoding that is null',
      { model: MODEL, input: 'x', encoding_format: null },
      400,
      { param: 'encoding_format' },
    ],
    ['a user that is no string', { model: MODEL, input: 'x', user: 1 }, 400, { param: 'user' }],
    [
      'an unknown field',
      { model: MODEL, input: 'x', dimension: 8 },
      400,
      { message: expect.stringContaining(': dimension') },
    ],
    ['JSON that is no object', '[]', 400, {}],
    ['JSON that breaks off', '{"model":"secret-text', 400, { message: expect.not.stringContaining('secret-text') }],
    ['no body at all', '', 400, {}],
    ['bytes that are no UTF-8', Buffer.from('{"model":"x","input":"\xff"}', 'latin1'), 400, {}],
    [
      'a text of 8193 tokens',
      { model: MODEL, input: ['ok', 'word '.repeat(8193)] },
      400,
      {
        param: 'input',
        message: expect.stringContaining('maximum context length is 8192 tokens'),
      },
    ],
    [
      '300 001 tokens altogether',
      { model: MODEL, input: [...Array(50).fill('word '.repeat(6000)), 'word'] },
      400,
      {
        param: 'input',
        code: 'max_tokens_per_request',
      },
    ],
  ];
  it.each(refused)('refuses %s', async (_why, body, status, error) => {
    const upstream = await start();
    const answer = await embed(upstream, body);
    expect(answer.status).toBe(status);
    const fields = { message: expect.any(String), type: 'invalid_request_error', param: null, code: null };
    expect(answer.json).toEqual({ error: { ...fields, ...error } });
    expect(answer.text).not.toMatch(/\.js|\bat /);
    expect(upstream.stats().inFlight).toBe(0);
  });

  it.each([['text/plain'], ['application/jsonp'], ['application/x-www-form-urlencoded']])(
    'refuses %s',
    async (type) => {
      const upstream = await start();
      expect((await embed(upstream, { model: MODEL, input: 'x' }, { headers: { 'content-type': type } })).status).toBe(
        415,
      );
    },
  );

  it('takes a content type with a charset, and refuses a compressed body', async () => {
    const upstream = await start();
    const body = { model: MODEL, input: 'x' };
    const withCharset = await embed(upstream, body, { headers: { 'content-type': 'Application/JSON; charset=utf-8' } });
    const compressed = await embed(upstream, body, { headers: { 'content-encoding': 'gzip' } });
    expect([withCharset.status, compressed.status]).toEqual([200, 415]);
  });
});

describe('the size of a body', () => {
  it('is refused when declared too large, before a byte of the body was sent', async () => {
    const upstream = await start();
    const request = httpRequest({ port: upstream.port, method: 'POST', path: '/v1/embeddings', agent: false });
    request.on('error', () => {});
    request.setHeader('content-length', 3_000_000);
    request.flushHeaders();
    const [response] = await once(request, 'response');
    expect([response.statusCode, response.headers.connection]).toEqual([413, 'close']);
    request.destroy();
  });

  it('is refused while it grows too large, and a client that is still sending reads the answer', async () => {
    const upstream = await start();
    const request = httpRequest({ port: upstream.port, method: 'POST', path: '/v1/embeddings', agent: false });
    request.on('error', () => {});
    request.setHeader('content-type', 'application/json');
    const answered = once(request, 'response');
    // Chunked, and never ended: only the server can put an end to it.
    for (let sent = 0; sent < 64; sent++) request.write(Buffer.alloc(256 * 1024, ' '));
    const [response] = await answered;
    let text = '';
    response.setEncoding('utf8');
    for await (const chunk of response) text += chunk;
    expect(response.statusCode).toBe(413);
    expect(JSON.parse(text).error.message).toContain('larger than 2097152 bytes');
    request.destroy();
  });

  it('may be two megabytes', async () => {
    const upstream = await start();
    const body = JSON.stringify({ model: MODEL, input: 'x' }).padEnd(2 * 1024 * 1024, ' ');
    expect((await embed(upstream, body)).status).toBe(200);
    expect((await embed(upstream, `${body} `)).status).toBe(413);
  });

  it('is not sent at all by a client that asks first and lacks the key', async () => {
    const upstream = await start({ apiKey: KEY });
    const ask = async (key: string) => {
      const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}`, expect: '100-continue' };
      const request = httpRequest({
        port: upstream.port,
        method: 'POST',
        path: '/v1/embeddings',
        agent: false,
        headers,
      });
      let toldToGoOn = false;
      request.once('continue', () => {
        toldToGoOn = true;
        request.end(JSON.stringify({ model: MODEL, input: 'x' }));
      });
      request.flushHeaders();
      const [response] = await once(request, 'response');
      request.destroy();
      return [response.statusCode, toldToGoOn];
    };
    expect(await ask('wrong')).toEqual([401, false]);
    expect(await ask(KEY)).toEqual([200, true]);
  });
});

describe('the API key', () => {
  const body = { model: MODEL, input: 'x' };

  it('opens the door', async () => {
    const upstream = await start({ apiKey: KEY });
    const headers = { authorization: `bearer ${KEY}` };
    expect((await embed(upstream, body, { headers })).status).toBe(200);
    expect((await call(upstream, { path: '/v1/models', headers })).status).toBe(200);
  });

  it.each([
    ['missing', undefined],
    ['wrong', `Bearer sk-sent-8a1c`],
    ['a part of the right one', `Bearer ${KEY.slice(0, -1)}`],
    ['more than the right one', `Bearer ${KEY}0`],
    ['of another scheme', `Basic ${KEY}`],
    ['empty', 'Bearer '],
  ])('refuses one that is %s, and never tells a key', async (_why, authorization) => {
    const upstream = await start({ apiKey: KEY });
    for (const answer of [
      await embed(upstream, body, { headers: authorization === undefined ? {} : { authorization } }),
      await call(upstream, { path: '/v1/models', headers: authorization === undefined ? {} : { authorization } }),
    ]) {
      expect(answer.status).toBe(401);
      expect(answer.json.error).toMatchObject({ type: 'invalid_request_error', code: 'invalid_api_key' });
      expect(answer.text + JSON.stringify(answer.headers)).not.toMatch(/sk-(sent|expected)/);
    }
  });

  it('is not needed to see that the upstream is there', async () => {
    const upstream = await start({ apiKey: KEY });
    const paths = ['/v1', '/v1/', '/health', '/stats'];
    const statuses = paths.map(async (path) => (await call(upstream, { method: 'HEAD', path })).status);
    expect(await Promise.all(statuses)).toEqual([200, 200, 200, 200]);
  });

  it('may not be empty, which would look like a key and be none', async () => {
    await expect(startEmbeddingUpstream({ apiKey: '' })).rejects.toThrow('apiKey is empty');
  });
});

describe('routes', () => {
  it('lists its one model', async () => {
    const upstream = await start();
    const model = { id: MODEL, object: 'model', created: 0, owned_by: 'nestjs-pools-sample' };
    expect((await call(upstream, { path: '/v1/models?limit=1' })).json).toEqual({ object: 'list', data: [model] });
    expect((await call(upstream, { path: `/v1/models/${MODEL}` })).json).toEqual(model);
    const unknown = await call(upstream, { path: '/v1/models/gpt' });
    expect([unknown.status, unknown.json.error.code]).toEqual([404, 'model_not_found']);
  });

  it.each([['/'], ['/v2/embeddings'], ['/v1/embedding'], ['//'], ['/constructor'], ['/v1/embeddings/x']])(
    'does not know %s',
    async (path) => {
      const upstream = await start();
      const { status, json } = await call(upstream, { method: 'POST', path });
      expect([status, json.error.type]).toEqual([404, 'invalid_request_error']);
    },
  );

  it.each([
    ['GET', '/v1/embeddings', 'POST'],
    ['HEAD', '/v1/embeddings', 'POST'],
    ['PUT', '/v1/embeddings', 'POST'],
    ['POST', '/v1', 'GET, HEAD'],
    ['POST', '/v1/models', 'GET, HEAD'],
    ['DELETE', '/health', 'GET, HEAD'],
    ['POST', '/stats', 'GET, HEAD'],
  ])('does not %s %s, and says what it would', async (method, path, allow) => {
    const upstream = await start();
    const answer = await call(upstream, { method, path });
    expect([answer.status, answer.headers.allow]).toEqual([405, allow]);
  });

  it('gives each answer an id of its own', async () => {
    const upstream = await start();
    const ids = [await call(upstream, {}), await call(upstream, { path: '/nowhere' })].map(
      (a) => a.headers['x-request-id'],
    );
    expect(new Set(ids).size).toBe(2);
    expect(ids).not.toContain(undefined);
  });
});

describe('under load', () => {
  const body = { model: MODEL, input: 'x' };

  it('refuses what exceeds maxInFlight, and serves again when there is room', async () => {
    const upstream = await start({ maxInFlight: 1, latencyMs: 60_000 });
    const first = httpRequest({ port: upstream.port, method: 'POST', path: '/v1/embeddings', agent: false });
    first.on('error', () => {});
    first.setHeader('content-type', 'application/json');
    first.end(JSON.stringify(body));
    await until(() => upstream.stats().inFlight === 1);

    const second = await embed(upstream, body);
    expect(second.status).toBe(429);
    expect(second.headers['retry-after']).toBe('1');
    expect(second.json.error).toMatchObject({ type: 'requests', code: 'rate_limit_exceeded' });
    expect((await call(upstream, { path: '/health' })).status).toBe(200);

    first.destroy();
    await until(() => upstream.stats().inFlight === 0);
    expect((await embed(upstream, { ...body, input: '' })).status).toBe(400);
  });

  it('never refuses as many clients as it serves at once, however fast they come back', async () => {
    const upstream = await start({ maxInFlight: 4 });
    const agent = new Agent({ keepAlive: true, maxSockets: 4 });
    const statuses = new Set<number>();
    const client = async () => {
      for (let turn = 0; turn < 50; turn++) statuses.add((await embed(upstream, body, { agent })).status);
    };
    await Promise.all([client(), client(), client(), client()]);
    agent.destroy();
    expect([...statuses]).toEqual([200]);
    expect(upstream.stats()).toMatchObject({ requests: 200, maxConnections: 4, inFlight: 0 });
  });

  it('answers others while it works on a large batch', async () => {
    const upstream = await start();
    const text = Array.from({ length: 130 }, (_, index) => `word${index}`).join(' ');
    let batchDone = false;
    const batch = embed(upstream, { model: MODEL, input: Array(512).fill(text), encoding_format: 'base64' }).then(
      (answer) => {
        batchDone = true;
        return answer;
      },
    );
    await until(() => upstream.stats().inFlight === 1);
    for (let probe = 0; probe < 5; probe++) expect((await call(upstream, {})).status).toBe(200);
    expect(batchDone).toBe(false);
    expect((await batch).json.data).toHaveLength(512);
  });

  it.each([
    ['while it sends its body', 0, (raw: string) => raw.slice(0, -5)],
    ['while it waits for the answer', 60_000, (raw: string) => raw],
  ])('forgets a client that vanishes %s', async (_when, latencyMs, cut) => {
    const upstream = await start({ latencyMs });
    const socket = connect(upstream.port, '127.0.0.1');
    const json = JSON.stringify(body);
    const head = `POST /v1/embeddings HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${json.length}\r\n\r\n`;
    socket.write(cut(head + json));
    await until(() => upstream.stats().inFlight === 1);
    socket.resetAndDestroy();
    await until(() => upstream.stats().inFlight === 0 && upstream.stats().connections === 0);
    expect((await call(upstream, {})).status).toBe(200);
  });

  it('forgets a client that vanishes while it reads a large answer', async () => {
    const upstream = await start();
    const request = httpRequest({ port: upstream.port, method: 'POST', path: '/v1/embeddings', agent: false });
    request.on('error', () => {});
    request.setHeader('content-type', 'application/json');
    request.end(JSON.stringify({ model: MODEL, input: Array(1024).fill('word'), dimensions: 4096 }));
    const [response] = await once(request, 'response');
    response.on('error', () => {});
    expect(upstream.stats().inFlight).toBe(1);
    request.destroy();
    await until(() => upstream.stats().inFlight === 0);
    expect((await call(upstream, {})).status).toBe(200);
  });
});

describe('stats and close', () => {
  it('counts every socket, also one that has asked for nothing yet, but not the one that asks for the count', async () => {
    const upstream = await start();
    const sockets = [connect(upstream.port, '127.0.0.1'), connect(upstream.port, '127.0.0.1')];
    await until(() => upstream.stats().connections === 2);
    const agent = new Agent({ keepAlive: true });
    for (let look = 0; look < 3; look++) {
      const { json } = await call(upstream, { path: '/stats', agent });
      expect(json).toEqual({ requests: 0, connections: 2, maxConnections: 2, inFlight: 0 });
    }
    // From its first real request on, the observer's socket is one like any other.
    await call(upstream, { agent });
    expect((await call(upstream, { path: '/stats', agent })).json).toMatchObject({
      requests: 1,
      connections: 3,
      maxConnections: 3,
    });
    agent.destroy();
    for (const socket of sockets) socket.destroy();
    await until(() => upstream.stats().connections === 0);
    expect(upstream.stats().maxConnections).toBe(3);
  });

  it('keeps the connection of a client that only asks for a sign of life', async () => {
    const upstream = await start();
    const agent = new Agent({ keepAlive: true });
    for (let look = 0; look < 3; look++) {
      const { headers } = await call(upstream, { method: 'HEAD', path: '/v1', agent });
      expect(headers['content-length']).toBe('15');
    }
    expect(upstream.stats()).toMatchObject({ requests: 3, maxConnections: 1 });
    agent.destroy();
  });

  it('tells its clients how long it keeps an idle socket', async () => {
    const upstream = await start({ keepAliveTimeoutMs: 7_000 });
    const agent = new Agent({ keepAlive: true });
    expect((await call(upstream, { agent })).headers['keep-alive']).toBe('timeout=7');
    agent.destroy();
  });

  it('close cuts every socket, idle or at work, frees the port, and may be called again', async () => {
    const upstream = await start({ latencyMs: 60_000 });
    const idle = connect(upstream.port, '127.0.0.1');
    const busy = embed(upstream, { model: MODEL, input: 'x' });
    const cut = expect(busy).rejects.toThrow('socket hang up');
    await until(() => upstream.stats().inFlight === 1 && upstream.stats().connections === 2);
    const idleClosed = once(idle, 'close');
    await Promise.all([upstream.close(), upstream.close(), idleClosed, cut]);
    await until(() => upstream.stats().inFlight === 0);
    expect(upstream.stats().connections).toBe(0);
    const again = await start({ port: upstream.port });
    expect(again.url).toBe(upstream.url);
  });

  it('says so when its port is taken', async () => {
    const { port } = await start();
    await expect(startEmbeddingUpstream({ port })).rejects.toThrow('EADDRINUSE');
  });
});

describe('vectorize', () => {
  const passages = {
    shutdown:
      'On SIGTERM the pool drains: requests in flight are still served, then every connection is closed before the process exits.',
    down: 'After three failed attempts to connect in a row, callers get PoolDownError at once; a single probe tries again with backoff.',
    lifetime:
      'A connection is retired after maxLifetimeMs, shortened by a random share, and a new one is opened in its place.',
    injecting:
      "Put @InjectPool('documents') in the constructor of any provider; getPoolToken('documents') is the token.",
    limit:
      'maxConnections, 20 by default, is the ceiling of the total: idle, active and creating ones together never exceed it.',
    testing:
      'createFakePool() stands in for the real thing: overrideProvider(getPoolToken(name)).useValue(createFakePool(stub)).',
    waiting: 'Callers are served in order from a queue; acquireTimeoutMs bounds how long each of them is kept waiting.',
    leaks:
      'A lease that is held for too long, or collected as garbage without a release, is reported with the stack of its borrower.',
    metrics: 'Counters and histograms for Prometheus and OpenTelemetry: active, idle and waiting, with percentiles.',
    pacing:
      'A 429 pauses the endpoint for the time in Retry-After; requests per minute are paced so that the quota lasts.',
    secrets: 'API keys and passwords never appear in errors, logs or metrics.',
    install: 'npm install nestjs-pools. Needs Node 20.19 or later, and Nest 11 or 12.',
  };
  const questions: [question: string, passage: keyof typeof passages][] = [
    ['how do I shut down without dropping requests', 'shutdown'],
    ['what happens when the upstream is down', 'down'],
    ['how long does a connection live before it is replaced', 'lifetime'],
    ['how do I inject a pool into my service', 'injecting'],
    ['how many connections can be opened at most', 'limit'],
    ['can I mock it in unit tests', 'testing'],
    ['what limits the time that I wait in the queue', 'waiting'],
    ['somebody forgot to give a connection back', 'leaks'],
    ['which statistics can I monitor', 'metrics'],
    ['too many requests, we are throttled', 'pacing'],
    ['is my credential written to the log', 'secrets'],
    ['which version of node is required', 'install'],
  ];
  it.each(questions)('finds the passage that answers "%s" among all the others', (question, expected) => {
    const asked = vectorize(question, 384);
    const ranked = Object.entries(passages)
      .map(([name, passage]) => ({ name, nearness: cosine(asked, vectorize(passage, 384)) }))
      .sort((left, right) => right.nearness - left.nearness);
    expect(ranked[0]?.name).toBe(expected);
  });

  it.each([
    ['forms of a word', 'released connections', 'release the connection', 'bake the bread'],
    ['names in camel case', 'maxLifetimeMs', 'max lifetime', 'apple orchard'],
    ['a typing error', 'reconection', 'reconnection', 'strawberry'],
    ['a name in other capitals', 'TypeORM', 'typeorm', 'kangaroo'],
    ['German', 'die Verbindung wird geschlossen', 'geschlossene Verbindungen', 'ein Korb voller Äpfel'],
    ['Chinese, without spaces', '连接池的最大连接数', '最大连接数是多少', '今天天气很好'],
    ['Japanese, without spaces', '接続プールを閉じる', '接続プールの設定', '美味しいりんご'],
    ['compatibility forms', 'ＦＵＬＬ width ﬁle', 'full width file', 'half height tree'],
  ])('brings %s near', (_what, text, near, far) => {
    const vector = vectorize(text, 384);
    expect(cosine(vector, vectorize(near, 384))).toBeGreaterThan(cosine(vector, vectorize(far, 384)) + 0.03);
  });

  it('is the same for the same text, and for the same text in other capitals', () => {
    expect(vectorize('Drain the Pool', 384)).toEqual(vectorize('Drain the Pool', 384));
    expect(cosine(vectorize('Drain the Pool', 384), vectorize('drain the pool', 384))).toBeCloseTo(1, 5);
  });

  it.each([['...'], ['?!'], ['—'], ['the'], ['\u0000'], ['\ud800'], ['🚀'], ['a']])(
    'has a direction of unit length for %j',
    (text) => {
      for (const dimensions of [1, 2, 384]) {
        const vector = vectorize(text, dimensions);
        expect(Math.sqrt(cosine(vector, vector))).toBeCloseTo(1, 5);
        expect(vectorize(text, dimensions)).toEqual(vector);
      }
      expect(vectorize('...', 384)).not.toEqual(vectorize('?!', 384));
    },
  );

  it('estimates tokens: about one per word, per character without spaces, per three digits, and never none', () => {
    expect(countTokens('the pool is full')).toBe(4);
    expect(countTokens('incomprehensibilities, 123456')).toBe(6 + 1 + 2);
    expect(countTokens('连接池')).toBe(3);
    expect(countTokens(' ')).toBe(1);
  });
});
