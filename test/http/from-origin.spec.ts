import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { AxiosRequestConfig } from 'axios';
import { type HttpError, type HttpPool, httpPool } from 'nestjs-pools/http';
import { type AnyServer, CARRIERS, optionsFor, serve } from './any-server.js';

let server: AnyServer;
let pool: HttpPool;

describe.each(CARRIERS)('a path from the origin over %s', (carrier) => {
  const ask = (url: string, config: AxiosRequestConfig = {}): Promise<string> =>
    pool.use(async ({ client }) => (await client.get<string>(url, config)).data);

  beforeEach(async () => {
    server = await serve(carrier, (path, reply) => reply.end(path));
    const definition = httpPool({ baseURL: `${server.url}/v1/`, maxConnections: 1, ...optionsFor(carrier) });
    pool = definition.createPool({ name: 'web', factory: definition.factory, ...definition.limits });
  });

  afterEach(async () => {
    await pool.close({ timeoutMs: 0 });
    await server.stop();
  });

  it('lies beside the base URL, where the others lie below it', async () => {
    expect(await ask('/info', { fromOrigin: true })).toBe('/info');
    expect(await ask('/info')).toBe('/v1/info');
    expect(await ask('info', { fromOrigin: false })).toBe('/v1/info');
    expect(await ask('info', { fromOrigin: true, params: { a: 1 } })).toBe('/info?a=1');
    expect(await ask('', { fromOrigin: true })).toBe('/');
  });

  it('is one for streams and forms too', async () => {
    const data = await pool.use(async ({ client }) => {
      const answer = await client.get<Readable>('/info', { fromOrigin: true, responseType: 'stream' });
      return text(answer.data);
    });
    expect(data).toBe('/info');
    const form = new FormData();
    form.append('field', 'value');
    const posted = await pool.use(({ client }) => client.post('/info', form, { fromOrigin: true }));
    expect(posted.data).toBe('/info');
  });

  it.each(['//elsewhere.invalid/info', 'http://elsewhere.invalid/info', '../../info', '/\\elsewhere.invalid/info'])(
    'stays at its server: %s',
    async (url) => {
      const path = await ask(url, { fromOrigin: true, allowAbsoluteUrls: true, baseURL: 'http://elsewhere.invalid' });
      expect(path).toMatch(/^\/(?:.*\/)?info$/);
      expect(server.accepted).toBe(1);
    },
  );

  it('is named in the error of its request', async () => {
    const error = await ask('/info?key=1', { fromOrigin: true, validateStatus: () => false }).catch(
      (thrown: HttpError) => thrown,
    );
    expect(error).toMatchObject({ url: `${server.url}/info` });
  });
});
