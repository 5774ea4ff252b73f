import {
  type EmbeddingUpstream,
  startEmbeddingUpstream,
} from '../../sample-app/embedding-upstream/embedding-upstream.js';
import { type Answer, SampleProcess, until } from '../support/sample-process.js';
import { TempDocuments } from '../support/temp-documents.js';

const KEY = 'sk-faults-3b9c';
const MAX_CONNECTIONS = 4;

let documents: TempDocuments;
let upstream: EmbeddingUpstream;
let sample: SampleProcess;

beforeAll(async () => {
  documents = await TempDocuments.with();
  upstream = await startEmbeddingUpstream({ apiKey: KEY, latencyMs: 20 });
  sample = await SampleProcess.start({
    EMBEDDINGS_URL: upstream.url,
    EMBEDDINGS_API_KEY: KEY,
    EMBEDDINGS_MAX_CONNECTIONS: String(MAX_CONNECTIONS),
    DOCUMENTS_DIR: documents.folder,
  });
}, 30_000);

afterAll(async () => {
  await sample?.stop();
  await upstream?.close();
  await documents.remove();
});

const readiness = async (): Promise<number> => (await sample.call('/health/ready')).status;

/** Searches from many clients at once until told to stop. */
async function searchUntil(clients: number, isOver: () => boolean, answers: Answer[] = []): Promise<Answer[]> {
  let asked = 0;
  // Each asks something else: the same is asked of the embedding server once.
  const client = async (): Promise<void> => {
    while (!isOver()) answers.push(await sample.search(`how do I stop ${(asked += 1)} times`));
  };
  await Promise.all(Array.from({ length: clients }, client));
  return answers;
}

it('opens no more connections than it may, however many search at once', async () => {
  let rounds = 0;
  const answers = await searchUntil(50, () => rounds++ >= 150);
  expect(answers.every(({ status }) => status === 200)).toBe(true);
  expect(upstream.stats().maxConnections).toBeLessThanOrEqual(MAX_CONNECTIONS);
  expect(upstream.stats().maxConnections).toBeGreaterThan(1);
});

it('answers 503 at once when the upstream dies under load, turns unready, and is ready again when it is back', async () => {
  let isOver = false;
  const answers: Answer[] = [];
  const searching = searchUntil(20, () => isOver, answers);
  await until('the load runs', 2_000, () => upstream.stats().inFlight > 0);
  await upstream.close();
  await until('unready', 3_000, async () => (await readiness()) === 503);
  expect((await sample.call('/health/live')).status).toBe(200);
  // Those under way when it died are tried again for a second; all after them are told at once.
  await until('many are told', 3_000, () => answers.filter(({ status }) => status !== 200).length > 40);
  isOver = true;
  const failed = (await searching).filter(({ status }) => status !== 200);

  expect(failed.length).toBeGreaterThan(20);
  for (const { status, headers, json, tookMs } of failed) {
    expect({ status, retryAfter: headers['retry-after'], json }).toEqual({
      status: 503,
      retryAfter: '1',
      json: { statusCode: 503, error: 'Service Unavailable', message: expect.stringMatching(/try again shortly/u) },
    });
    expect(tookMs).toBeLessThan(1_500);
  }
  // None was kept waiting for a connection that could not come.
  expect((await sample.call('/pools')).json.pools.embeddings.timedOut).toBe(0);

  upstream = await startEmbeddingUpstream({ apiKey: KEY, port: upstream.port });
  await until('ready again', 5_000, async () => (await readiness()) === 200);
  expect((await sample.search('how do I stop')).status).toBe(200);
  expect(sample.output).not.toContain(KEY);
}, 20_000);

it('waits for an upstream that is not there yet, and reads the documents when it comes', async () => {
  const { port } = upstream;
  await upstream.close();
  const early = await SampleProcess.start(
    { EMBEDDINGS_URL: `http://127.0.0.1:${port}/v1`, EMBEDDINGS_API_KEY: KEY, DOCUMENTS_DIR: documents.folder },
    'listening',
  );
  try {
    await early.untilSaid(/waits and tries again/u);
    const { status, json } = await early.search('limits');
    expect(status).toBe(503);
    expect(json.indexing.problem).toMatch(/embedding/u);
    upstream = await startEmbeddingUpstream({ apiKey: KEY, port });
    await early.untilIndexed();
    expect((await early.search('limits')).status).toBe(200);
  } finally {
    await early.stop();
  }
}, 30_000);
