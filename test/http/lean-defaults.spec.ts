import axios, { type AxiosHeaders, type AxiosInstance, type InternalAxiosRequestConfig } from 'axios';
import { leanDefaults } from '../../lib/http/lean-defaults.js';

/** An instance that sends nothing, and what it would have sent. */
function instance(): { client: AxiosInstance; sent: InternalAxiosRequestConfig[] } {
  const sent: InternalAxiosRequestConfig[] = [];
  const client = axios.create({
    baseURL: 'http://host',
    headers: { authorization: 'Bearer key' },
    adapter: (config) => {
      sent.push(config);
      return Promise.resolve({ status: 200, statusText: 'OK', headers: {}, data: '{"a":1}', config });
    },
  });
  return { client, sent };
}

async function requestsOf(client: AxiosInstance, sent: InternalAxiosRequestConfig[]): Promise<unknown[]> {
  await client.get('/a', { params: { b: 1 } });
  await client.post('/a', { text: 'x' }, { headers: { 'X-Own': 'y' } });
  await client.postForm('/a', new URLSearchParams({ a: 'b' }));
  await client.request({ method: 'delete', url: '/a' });
  return sent.map(({ headers, method, data }) => ({ headers: (headers as AxiosHeaders).toJSON(), method, data }));
}

describe('an axios instance with lean defaults', () => {
  it('sends what it would have sent', async () => {
    const plain = instance();
    const lean = instance();
    leanDefaults(lean.client);
    expect(await requestsOf(lean.client, lean.sent)).toEqual(await requestsOf(plain.client, plain.sent));
  });

  it('still takes headers for one method, or for all', async () => {
    const { client, sent } = instance();
    leanDefaults(client);
    client.defaults.headers.post['x-post'] = 'by post';
    client.defaults.headers.common['x-all'] = 'by all';
    client.defaults.headers.put = { 'x-put': 'by put' };
    await client.post('/a', {});
    await client.put('/a', {});
    await client.get('/a');
    expect(sent.map(({ headers }) => [headers['x-post'], headers['x-put'], headers['x-all']])).toEqual([
      ['by post', undefined, 'by all'],
      [undefined, 'by put', 'by all'],
      [undefined, undefined, 'by all'],
    ]);
  });

  it('merges less for each request', () => {
    const { client } = instance();
    const before = Object.keys(client.defaults.headers).length;
    leanDefaults(client);
    expect(Object.keys(client.defaults.headers).length).toBeLessThan(before);
    expect(Object.keys(client.defaults.headers)).toEqual(expect.arrayContaining(['common', 'authorization']));
  });

  it('makes forms of objects as before', async () => {
    const { client, sent } = instance();
    leanDefaults(client);
    await client.post('/a', { a: 'b' }, { headers: { 'content-type': 'multipart/form-data' } });
    expect(sent[0]!.data).toHaveProperty('getBoundary');
  });
});
