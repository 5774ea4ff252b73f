import { SampleProcess } from '../support/sample-process.js';

/** Everyday questions, in words that the sections do not use as their headings, and the section that answers each. */
const QUESTIONS: readonly [question: string, section: string][] = [
  ['how many connections are opened at most', 'Limits and options'],
  ['will requests in flight be lost when I stop the process', 'Shutdown'],
  ['what does kubernetes ask to know whether the app is ready', 'Health checks and readiness'],
  ['what happens when the upstream is down', 'When the upstream is down'],
  ['can I use a fake pool in my unit tests', 'Testing your code'],
  ['how do I borrow a connection and give it back', 'Leasing a connection'],
  ['turn texts into vectors', 'Embeddings'],
];

let sample: SampleProcess;
let startedInMs: number;
let early: { status: number; retryAfter: string | undefined; json: any; liveStatus: number };

beforeAll(async () => {
  const startedAt = performance.now();
  sample = await SampleProcess.start({}, 'listening');
  const { status, headers, json } = await sample.search('anything');
  early = { status, retryAfter: headers['retry-after'], json, liveStatus: (await sample.call('/health/live')).status };
  await sample.untilIndexed();
  startedInMs = performance.now() - startedAt;
}, 30_000);

afterAll(() => sample?.stop());

it('starts within 20 seconds, without an account, a service or a network', async () => {
  expect(startedInMs).toBeLessThan(20_000);
  expect((await sample.call('/health/ready')).status).toBe(200);
});

it('serves before its index is ready, and tells an early search when to come again', () => {
  expect(early).toMatchObject({ status: 503, retryAfter: '1', liveStatus: 200 });
  expect(early.json).toMatchObject({ statusCode: 503, error: 'Service Unavailable', indexing: { state: 'indexing' } });
  expect(early.json.message).toMatch(/The index is being built: \d+ of \d+ sections/u);
});

it.each(QUESTIONS)('answers "%s" with the section "%s"', async (question, section) => {
  const { status, json } = await sample.search(question);
  expect(status).toBe(200);
  expect(json.hits[0].title).toContain(`README › ${section}`);
});

it('answers with as many hits as asked for, best first, each with its source, text and score', async () => {
  const { json } = await sample.call('/search?q=graceful+shutdown&limit=3');
  expect(json.query).toBe('graceful shutdown');
  expect(json.took).toEqual({ embedMs: expect.any(Number), searchMs: expect.any(Number) });
  expect(json.hits).toHaveLength(3);
  for (const hit of json.hits) {
    expect(hit).toEqual({
      title: expect.any(String),
      source: expect.stringMatching(/\.md$/u),
      text: expect.stringMatching(/\S/u),
      score: expect.any(Number),
    });
  }
  const scores = json.hits.map(({ score }: { score: number }) => score);
  expect(scores).toEqual([...scores].sort((one, other) => other - one));
});

it('stores a document section by section, finds it, and replaces one of the same title', async () => {
  const text = '# Feeding\n\nThe pelican eats fish.\n\n# Sleeping\n\nThe pelican sleeps on one leg.';
  const stored = await sample.call('/documents', { method: 'POST', body: { title: 'Pelicans', text } });
  expect(stored).toMatchObject({ status: 201, json: { title: 'Pelicans', sections: 2 } });
  const { json } = await sample.search('what does the pelican eat');
  expect(json.hits[0]).toMatchObject({ title: 'Pelicans › Feeding', source: 'posted/Pelicans' });

  await sample.call('/documents', { method: 'POST', body: { title: 'Pelicans', text: 'The pelican is gone.' } });
  const after = await sample.search('pelican');
  const posted = after.json.hits.filter(({ source }: { source: string }) => source === 'posted/Pelicans');
  expect(posted.map((hit: { text: string }) => hit.text)).toEqual(['The pelican is gone.']);
});

it('shows its pools and the index', async () => {
  const { json } = await sample.call('/pools');
  expect(json.pools.embeddings).toMatchObject({ upstream: sample.upstreamUrl, maxConnections: 8, state: 'open' });
  expect(json.pools.documents).toMatchObject({ maxConnections: 1, state: 'open' });
  expect(json.indexing).toMatchObject({ state: 'ready', done: json.indexing.total });
});
