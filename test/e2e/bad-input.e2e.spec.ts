import { createServer, type Server } from 'node:net';
import { once } from 'node:events';
import {
  type EmbeddingUpstream,
  startEmbeddingUpstream,
} from '../../sample-app/embedding-upstream/embedding-upstream.js';
import { type Answer, SampleProcess } from '../support/sample-process.js';
import { TempDocuments } from '../support/temp-documents.js';

const KEY = 'sk-right-91aa';
const WRONG_KEY = 'sk-wrong-77f0';

let documents: TempDocuments;
let upstream: EmbeddingUpstream;
let sample: SampleProcess;

beforeAll(async () => {
  documents = await TempDocuments.with();
  upstream = await startEmbeddingUpstream({ apiKey: KEY });
  sample = await SampleProcess.start({
    EMBEDDINGS_URL: upstream.url,
    EMBEDDINGS_API_KEY: KEY,
    DOCUMENTS_DIR: documents.folder,
  });
}, 30_000);

afterAll(async () => {
  await sample?.stop();
  await upstream?.close();
  await documents.remove();
});

const ERRORS: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  404: 'Not Found',
  413: 'Payload Too Large',
  415: 'Unsupported Media Type',
  424: 'Failed Dependency',
};

/** The one shape of all refusals, with nothing in it that is not the client's business. */
function expectRefusal(answer: Answer, status: number, message: RegExp): void {
  expect(answer.headers['content-type']).toMatch(/^application\/json/u);
  expect(answer.json).toEqual({ statusCode: status, error: ERRORS[status], message: expect.stringMatching(message) });
  expect(answer.status).toBe(status);
  expect(answer.text).not.toMatch(/\bat .*:\d+:\d+|node_modules|sk-/u);
}

describe('a request that cannot be served says why', () => {
  it.each([
    ['no question', '/search', 400, /^q: expected what to search for/u],
    ['an empty question', '/search?q=', 400, /^q: expected some words/u],
    ['a blank question', '/search?q=%20%09', 400, /^q: expected some words/u],
    ['two questions', '/search?q=a&q=b', 400, /^q: expected what to search for/u],
    ['an endless question', `/search?q=${'a'.repeat(1_001)}`, 400, /^q: expected 1000 characters at most/u],
    ['a limit of 0', '/search?q=a&limit=0', 400, /^limit: expected a whole number from 1 to 20/u],
    ['a limit of 21', '/search?q=a&limit=21', 400, /^limit: expected a whole number from 1 to 20/u],
    ['a limit in words', '/search?q=a&limit=five', 400, /^limit: expected a whole number from 1 to 20/u],
    ['a negative limit and no question', '/search?limit=-1', 400, /^q: .*; limit: expected/u],
    ['an unknown route', '/nothing/here', 404, /Try GET \/, GET \/search/u],
  ])('%s', async (_what, path, status, message) => {
    expectRefusal(await sample.call(path), status, message);
  });

  const post = (body: unknown, headers = {}): Promise<Answer> =>
    sample.call('/documents', { method: 'POST', body, headers });

  it.each([
    ['rubbish in place of JSON', '{"title": rubbish', 400, /must be JSON/u],
    ['no object', '[]', 400, /expected an object of JSON/u],
    ['nothing', undefined, 400, /expected an object of JSON.*content-type/u],
    ['no title', { text: 'a' }, 400, /^title: expected the name/u],
    ['an empty title', { title: ' ', text: 'a' }, 400, /^title: expected the name.*not an empty text/u],
    ['an endless title', { title: 'a'.repeat(201), text: 'a' }, 400, /^title: expected 200 characters/u],
    ['a title of two lines', { title: 'a\nb', text: 'a' }, 400, /^title: expected one line/u],
    ['no text', { title: 'a' }, 400, /^text: expected the document itself/u],
    ['an empty text', { title: 'a', text: '' }, 400, /^text: expected the document itself, not an empty text/u],
    ['a text that is a number', { title: 'a', text: 1 }, 400, /^text: expected the document itself/u],
    ['headings alone', { title: 'a', text: '# b' }, 400, /^text: expected some text, not headings alone/u],
    ['a text beyond 1 MB', { title: 'a', text: 'ü'.repeat(500_001) }, 413, /^text: expected 1 MB at most/u],
    ['3 MB', { title: 'a', text: 'a'.repeat(3_000_000) }, 413, /too large: expected 2 MB at most/u],
  ])('a document with %s', async (_what, body, status, message) => {
    expectRefusal(await post(body), status, message);
  });

  it('a body of another type or character set', async () => {
    const plain = await post('title=a', { 'content-type': 'application/x-www-form-urlencoded' });
    expectRefusal(plain, 400, /content-type: application\/json/u);
    expectRefusal(await post('{}', { 'content-type': 'application/json; charset=klingon' }), 415, /in UTF-8/u);
  });

  it('and still serves everybody else', async () => {
    expect((await sample.search('limits')).status).toBe(200);
    expect((await post({ title: `'"<b>\ud800`, text: 'odd \u0000 \ud800 but text' })).status).toBe(201);
    expect(sample.output).not.toMatch(/\bERROR\b/u);
  });
});

describe('a server that refuses us', () => {
  it.each([
    ['a wrong key', { EMBEDDINGS_API_KEY: WRONG_KEY }, /refused the API key. Set EMBEDDINGS_API_KEY/u],
    ['an unknown model', { EMBEDDINGS_API_KEY: KEY, EMBEDDINGS_MODEL: 'nonesuch' }, /Check EMBEDDINGS_MODEL/u],
  ])(
    '%s is said once in the log, and to everybody who asks',
    async (_what, env, message) => {
      const refused = await SampleProcess.start(
        { EMBEDDINGS_URL: upstream.url, DOCUMENTS_DIR: documents.folder, ...env },
        'listening',
      );
      try {
        await refused.untilSaid(/stopped until the next start/u);
        expectRefusal(await refused.search('limits'), 424, message);
        const body = { title: 'a', text: 'b' };
        expectRefusal(await refused.call('/documents', { method: 'POST', body }), 424, message);
        expect((await refused.call('/pools')).json.indexing).toMatchObject({
          state: 'failed',
          problem: expect.stringMatching(message),
        });
        expect(refused.output.match(/stopped until the next start/gu)).toHaveLength(1);
        expect(refused.output).not.toMatch(/sk-|\bat .*:\d+:\d+/u);
      } finally {
        await refused.stop();
      }
    },
    30_000,
  );
});

describe('an environment that does not fit ends the start', () => {
  let taken: Server;
  beforeAll(async () => {
    taken = createServer().listen(0);
    await once(taken, 'listening');
  });
  afterAll(() => taken.close());
  const takenPort = (): string => String((taken.address() as { port: number }).port);

  it.each([
    ['a PORT in words', () => ({ PORT: 'http' }), /PORT: expected a whole number from 0 to 65535 .*, got a text of 4/u],
    ['a PORT too high', () => ({ PORT: '70000' }), /PORT: .*got a number of 5 digits/u],
    ['a PORT that is taken', () => ({ PORT: takenPort() }), /Port \d+ is taken. Set PORT to another one/u],
    ['an address for people', () => ({ EMBEDDINGS_URL: 'example' }), /EMBEDDINGS_URL: expected the API's base URL/u],
    [
      'a password in the address',
      () => ({ EMBEDDINGS_URL: `http://me:${WRONG_KEY}@host/v1` }),
      /EMBEDDINGS_URL: expected the API's base URL/u,
    ],
    [
      'a key of two lines',
      () => ({ EMBEDDINGS_API_KEY: `${WRONG_KEY}\n${WRONG_KEY}` }),
      /EMBEDDINGS_API_KEY: expected the key alone.*, got a text of 27 characters with blanks in it/u,
    ],
    ['no connections', () => ({ EMBEDDINGS_MAX_CONNECTIONS: '0' }), /EMBEDDINGS_MAX_CONNECTIONS: .* from 1 to 1000/u],
    ['a folder that is none', () => ({ DOCUMENTS_DIR: '/no/such' }), /DOCUMENTS_DIR: expected a folder that exists/u],
    [
      "a model that the sample's own upstream does not know",
      () => ({ EMBEDDINGS_MODEL: 'gpt-x' }),
      /EMBEDDINGS_MODEL: expected local-hash-384.*set EMBEDDINGS_URL/u,
    ],
  ])('%s', async (_what, env, message) => {
    const failing = SampleProcess.spawn({ DOCUMENTS_DIR: documents.folder, ...env() });
    expect(await failing.exited).toEqual({ code: 1, signal: null });
    expect(failing.output).toMatch(message);
    expect(failing.output).not.toMatch(/\bat .*:\d+:\d+|sk-/u);
  });

  it('tells of all that is wrong at once', async () => {
    const failing = SampleProcess.spawn({ PORT: '-1', DOCUMENTS_DIR: '/no/such' });
    expect(await failing.exited).toEqual({ code: 1, signal: null });
    expect(failing.output).toMatch(/^ {2}PORT: .*\n {2}DOCUMENTS_DIR: .*\n.*README/mu);
  });
});
