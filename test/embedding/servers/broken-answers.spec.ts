import type { ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import {
  EmbeddingConnectionError,
  type EmbeddingError,
  type EmbeddingOptions,
  EmbeddingResponseError,
  EmbeddingTimeoutError,
} from 'nestjs-pools/embedding';
import { type DialectName, DIMENSIONS, type Script } from '../../support/embedding-server.js';
import { closeRigs, errorOf, failure, isOneByOne, Rig } from './rig.js';

afterEach(closeRigs);

const BAD = 'the text whose request goes wrong';
const TEXTS = ['one good text', 'another good text', 'a third good text', BAD, 'the last good text'];

/** One of each shape of answers: what goes wrong below them is the same for all. */
const SOME: DialectName[] = ['openai', 'tei', 'ollama', 'cohere', 'bedrock', 'float-only', 'index-less'];

type Take = (response: ServerResponse, right: object) => void;
type Kind = new (...args: never[]) => EmbeddingError;

const halfOf = (right: object): string => JSON.stringify(right).slice(0, -20);
const json = { 'content-type': 'application/json' };

/** Writes bytes past the server's own HTTP. */
const raw =
  (bytes: (right: object) => string): Take =>
  (response, right) =>
    void response.socket!.write(bytes(right));
const head = (length: number): string =>
  `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n`;

/** Another answer than the one that was asked for, whole and sane to look at. */
const unasked = (right: object): string => {
  const body = JSON.stringify(right).replaceAll(/"embedding":("[^"]*"|\[[^\]]*\])/g, '"embedding":[1,1,1,1,1,1,1,1]');
  return `${head(Buffer.byteLength(body))}${body}`;
};

const BROKEN: [string, Take, Kind][] = [
  [
    'a body shorter than it said, and the connection closed',
    (response, right) => {
      response
        .writeHead(200, { ...json, 'content-length': JSON.stringify(right).length })
        .write(halfOf(right), () => response.destroy());
    },
    EmbeddingConnectionError,
  ],
  [
    'chunks that break off',
    (response, right) => {
      response.writeHead(200, json).write(halfOf(right), () => response.destroy());
    },
    EmbeddingConnectionError,
  ],
  [
    'a reset amid the body',
    (response, right) => {
      response.writeHead(200, json).write(halfOf(right), () => response.socket!.resetAndDestroy());
    },
    EmbeddingConnectionError,
  ],
  ['a connection closed without an answer', (response) => void response.destroy(), EmbeddingConnectionError],
  [
    'half of a body, whole by its length',
    (response, right) => void response.writeHead(200, json).end(halfOf(right)),
    EmbeddingResponseError,
  ],
  ['more body than it said', raw((right) => `${head(20)}${JSON.stringify(right)}`), EmbeddingConnectionError],
  ['something that is no HTTP', raw(() => 'SSH-2.0-OpenSSH_9.6\r\n\r\n'), EmbeddingConnectionError],
  [
    'two lengths that differ',
    raw((right) => head(20).replace('\r\n\r\n', `\r\ncontent-length: 30\r\n\r\n`) + JSON.stringify(right)),
    EmbeddingConnectionError,
  ],
  [
    'an error with status 200',
    (response) => void response.writeHead(200, json).end('{"error":{"message":"overloaded","code":"busy"}}'),
    EmbeddingResponseError,
  ],
  [
    'HTML with status 200',
    (response) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<html>please log in</html>'),
    EmbeddingResponseError,
  ],
  ['an empty body', (response) => void response.writeHead(200, json).end(), EmbeddingResponseError],
  ['status 204', (response) => void response.writeHead(204).end(), EmbeddingResponseError],
  ['null', (response) => void response.writeHead(200, json).end('null'), EmbeddingResponseError],
  [
    'what is not gzip, and says it is',
    (response, right) =>
      void response.writeHead(200, { ...json, 'content-encoding': 'gzip' }).end(JSON.stringify(right)),
    EmbeddingResponseError,
  ],
  [
    'an encoding that nobody knows',
    (response) => void response.writeHead(200, { ...json, 'content-encoding': 'nonsense' }).end('aaaa'),
    EmbeddingResponseError,
  ],
];

async function liar(name: DialectName, take: Take, options: Partial<EmbeddingOptions> = {}): Promise<Rig> {
  const script: Script = ({ texts }) => (texts.includes(BAD) ? { take } : undefined);
  // Two requests at once or more, of which one goes wrong.
  const size = isOneByOne(name) ? 1 : 2;
  return Rig.start(name, {
    script,
    options: { batchSize: size, dimensions: DIMENSIONS, retry: { attempts: 2 }, ...options },
  });
}

/** The errors of one call that rejects and of one that settles; the texts of other requests have their vectors. */
async function errorsOf(rig: Rig): Promise<Error[]> {
  const first = await failure(rig.service.embedMany(TEXTS));
  const outcomes = await rig.service.embedMany(TEXTS, { settle: true });
  const lost = rig.server.requests.findLast(({ texts }) => texts.includes(BAD))!.texts;
  for (const [place, text] of TEXTS.entries()) {
    if (!lost.includes(text)) expect(outcomes[place]).toMatchObject({ ok: true, vector: rig.right(text) });
  }
  const errors = lost.map((text) => errorOf(outcomes[TEXTS.indexOf(text)]));
  expect(errors).not.toContain(undefined);
  return [first, ...(errors as Error[])];
}

describe.each(SOME)('a server of the kind "%s" that sends', (name) => {
  it.each(BROKEN)('%s: those texts have no vector, all others theirs', async (_what, take, kind) => {
    const rig = await liar(name, take);
    for (const error of await errorsOf(rig)) expect(error).toBeInstanceOf(kind);
    await rig.isSaneAgain(TEXTS);
  });
});

describe.each(SOME)('a server of the kind "%s" that keeps one waiting', (name) => {
  async function slow(take: Take, options: Partial<EmbeddingOptions>): Promise<Rig> {
    const rig = await liar(name, take, { retry: false, ...options });
    // The first request of some may take longer: it is over when the waiting begins.
    await rig.service.embed('the first of all');
    return rig;
  }

  it('without a head: it is the header that is missed', async () => {
    const rig = await slow(() => undefined, { headerTimeoutMs: 40 });
    for (const error of await errorsOf(rig)) {
      expect(error).toBeInstanceOf(EmbeddingTimeoutError);
      expect(error).toMatchObject({ phase: 'header', limitMs: 40 });
    }
    await rig.isSaneAgain(TEXTS);
  });

  it('with a byte now and then, too seldom: it is the body that is missed', async () => {
    const rig = await slow(drip(60), { bodyIdleTimeoutMs: 25 });
    for (const error of await errorsOf(rig)) expect(error).toMatchObject({ phase: 'body', limitMs: 25 });
    await rig.isSaneAgain(TEXTS);
  });

  it('with a byte often enough, for ever: the request as a whole has a limit', async () => {
    const rig = await slow(drip(5), { bodyIdleTimeoutMs: 2_000, attemptTimeoutMs: 60 });
    for (const error of await errorsOf(rig)) expect(error).toMatchObject({ phase: 'attempt', limitMs: 60 });
    await rig.isSaneAgain(TEXTS);
  });

  it('with more body than ever comes: it is the body that is missed', async () => {
    const take: Take = (response, right) => {
      response.writeHead(200, { ...json, 'content-length': 1_000_000 }).write(JSON.stringify(right));
    };
    const rig = await slow(take, { bodyIdleTimeoutMs: 25 });
    for (const error of await errorsOf(rig)) expect(error).toMatchObject({ phase: 'body' });
    await rig.isSaneAgain(TEXTS);
  });
});

it('names the limit that there really was, where a request was made while the model was not loaded yet', async () => {
  const rig = await liar('ollama', () => undefined, { retry: false, headerTimeoutMs: 25 });
  const outcomes = await rig.service.embedMany(TEXTS, { settle: true });
  expect(outcomes[0]).toMatchObject({ ok: true });
  expect(errorOf(outcomes[3])).toMatchObject({ phase: 'header', limitMs: 100 });
});

/** A blank now and then, until the client leaves. */
const drip =
  (everyMs: number): Take =>
  (response) => {
    response.writeHead(200, json).flushHeaders();
    const timer = setInterval(() => response.write(' '), everyMs);
    response.once('close', () => clearInterval(timer));
  };

describe('a server that sends too much', () => {
  it.each(SOME)('without an end: a server of the kind "%s" is cut off', async (name) => {
    let sent = 0;
    const rig = await liar(
      name,
      (response) => {
        response.writeHead(200, json);
        const blanks = Buffer.alloc(65_536, ' ');
        const more = (): void => {
          while (!response.destroyed && response.write(blanks)) sent += blanks.length;
        };
        response.on('drain', more);
        more();
      },
      { retry: false },
    );
    for (const error of await errorsOf(rig)) {
      expect(error).toBeInstanceOf(EmbeddingResponseError);
      expect(error.message).toContain('refused');
    }
    // What the two of them have sent is what the client has read and what the sockets hold.
    expect(sent).toBeLessThan(2 * 16 * 1024 * 1024);
    await rig.isSaneAgain(TEXTS);
  });

  it('packed: little gzip that stands for much is not unpacked beyond what an answer can be', async () => {
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024, ' '));
    expect(bomb.length).toBeLessThan(70 * 1024);
    const rig = await liar('openai', (response) => {
      response.writeHead(200, { ...json, 'content-encoding': 'gzip' }).end(bomb);
    });
    let most = 0;
    const look = setInterval(() => (most = Math.max(most, process.memoryUsage().arrayBuffers)), 1);
    const before = process.memoryUsage().arrayBuffers;
    for (const error of await errorsOf(rig)) {
      expect(error).toBeInstanceOf(EmbeddingResponseError);
      expect(error.message).toContain('refused');
    }
    clearInterval(look);
    expect(most - before).toBeLessThan(8 * 1024 * 1024);
    await rig.isSaneAgain(TEXTS);
  });
});

describe('a server that answers what it was not asked', () => {
  it.each(SOME)('an answer after the right one is nobody\'s: kind "%s"', async (name) => {
    const rig = await liar(
      name,
      raw((right) => {
        const body = JSON.stringify(right);
        return `${head(Buffer.byteLength(body))}${body}${unasked(right)}`;
      }),
    );
    expect(await rig.service.embedMany(TEXTS)).toEqual(rig.rightOf(TEXTS));
    const more = Array.from({ length: 12 }, (_none, index) => `asked after that ${index}`);
    expect(await rig.service.embedMany(more)).toEqual(rig.rightOf(more));
    await rig.isSaneAgain([...TEXTS, ...more]);
  });
});
