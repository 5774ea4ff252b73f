import { getEventListeners } from 'node:events';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { inspect } from 'node:util';
import { ConnectionPool, type PoolOptions } from 'nestjs-pools/core';
import { httpPool, type HttpConnection, type HttpPoolOptions } from 'nestjs-pools/http';
import type { HttpDialError } from '../../lib/http/dial-error.js';
import { type HttpDialOptions, resolveDialSettings } from '../../lib/http/dial-settings.js';
import { Dialer } from '../../lib/http/dialer.js';
import { Authority } from '../support/certificate.js';
import { HttpProxy } from '../support/http-proxy.js';
import { CountingServer, eventually } from '../support/http-server.js';

const SECRET = 'planted-password';
const KEY = 'planted-key-4711';
/** `user:planted-password`, as it travels. */
const BASIC = `Basic ${Buffer.from(`user:${SECRET}`).toString('base64')}`;
const VARIABLES = ['http_proxy', 'https_proxy', 'all_proxy', 'no_proxy'].flatMap((name) => [name, name.toUpperCase()]);

const authority = Authority.make();
const { ca } = authority;
const ours = authority.issue();
const stops: (() => Promise<unknown>)[] = [];
const own = Object.fromEntries(VARIABLES.map((name) => [name, process.env[name]]));

beforeEach(() => {
  for (const name of VARIABLES) delete process.env[name];
});

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

afterAll(() => {
  for (const [name, value] of Object.entries(own)) if (value !== undefined) process.env[name] = value;
});

async function proxyOf(...options: Parameters<typeof HttpProxy.start>): Promise<HttpProxy> {
  const proxy = await HttpProxy.start(...options);
  stops.push(() => proxy.stop());
  return proxy;
}

async function upstreamOf(...options: Parameters<typeof CountingServer.start>): Promise<CountingServer> {
  const server = await CountingServer.start(...options);
  stops.push(() => server.stop());
  return server;
}

function poolOf(
  options: HttpPoolOptions,
  extra: Partial<PoolOptions<HttpConnection>> = {},
): ConnectionPool<HttpConnection> {
  const definition = httpPool({ headers: { 'api-key': KEY }, tls: { ca }, ...options });
  const pool = new ConnectionPool({ name: 'web', factory: definition.factory, ...definition.limits, ...extra });
  stops.push(() => pool.close({ timeoutMs: 0 }));
  return pool;
}

function dialerOf(options: HttpDialOptions): Dialer {
  const problems: string[] = [];
  const settings = resolveDialSettings({ tls: { ca }, ...options }, problems);
  expect(problems).toEqual([]);
  return new Dialer(settings);
}

async function dial(dialer: Dialer, signal = new AbortController().signal, alpn?: string[]): Promise<Socket> {
  const socket = await dialer.dial(signal, alpn);
  stops.push(async () => socket.destroy());
  return socket;
}

async function failure(work: Promise<unknown>): Promise<HttpDialError> {
  return work.then(
    () => Promise.reject(new Error('did not fail')),
    (error: HttpDialError) => error,
  );
}

const withPassword = (proxy: HttpProxy): string => proxy.url.replace('://', `://user:${SECRET}@`);

describe.each(['node', 'undici'] as const)('requests over the transport %s', (transport) => {
  it('to http: name the whole URL to the proxy, over connections that are kept on both sides of it', async () => {
    const proxy = await proxyOf({ credentials: `user:${SECRET}` });
    const seen: unknown[] = [];
    const server = await upstreamOf((request, response) => {
      seen.push([request.headers.host, request.headers['api-key'], request.headers['proxy-authorization']]);
      response.end(request.url);
    });
    const pool = poolOf({ baseURL: `${server.url}/v1`, proxy: withPassword(proxy), maxConnections: 1, transport });
    for (const path of ['/a?b=1', '/c', '/d']) await pool.use(({ client }) => client.get(path));
    expect(proxy.requests).toEqual(['/a?b=1', '/c', '/d'].map((path) => `GET ${server.url}/v1${path}`));
    expect(server.requests).toEqual(['GET /v1/a?b=1', 'GET /v1/c', 'GET /v1/d']);
    expect([proxy.accepted, server.accepted]).toEqual([1, 1]);
    expect(seen).toEqual(Array.from({ length: 3 }, () => [`127.0.0.1:${server.port}`, KEY, undefined]));
  });

  it('to https: go through one tunnel for each connection, of whose content the proxy learns nothing', async () => {
    const proxy = await proxyOf({ credentials: `user:${SECRET}` });
    const seen: unknown[] = [];
    const server = await upstreamOf((request, response) => {
      seen.push([request.headers['api-key'], request.headers['proxy-authorization']]);
      response.end('safe');
    }, ours);
    const pool = poolOf({ baseURL: server.url, proxy: withPassword(proxy), maxConnections: 2, transport });
    for (let round = 0; round < 5; round += 1) {
      await Promise.all([1, 2].map(() => pool.use(async ({ client }) => client.post('/', { text: 'hello' }))));
    }
    const target = `127.0.0.1:${server.port}`;
    expect(proxy.tunnels).toEqual([target, target]);
    expect(proxy.requests).toEqual([]);
    expect([proxy.accepted, server.accepted, server.requests.length]).toEqual([2, 2, 10]);
    expect(seen).toEqual(Array.from({ length: 10 }, () => [KEY, undefined]));
    const { host, connection, 'proxy-authorization': authorization, ...others } = proxy.headers[0]!;
    expect([host, connection, authorization, others]).toEqual([target, 'keep-alive', BASIC, {}]);
  });

  it('go to a proxy that speaks TLS itself, and by TLS within that to the server', async () => {
    const proxy = await proxyOf({ tls: authority.issue() });
    const server = await upstreamOf((_request, response) => response.end('safe'), ours);
    const way = { proxy: { url: proxy.url, tls: { ca } }, maxConnections: 1, transport };
    const pool = poolOf({ baseURL: server.url, ...way });
    for (let round = 0; round < 3; round += 1) {
      expect((await pool.use(({ client }) => client.get('/'))).data).toBe('safe');
    }
    expect([proxy.tunnels.length, proxy.accepted, server.accepted, server.requests.length]).toEqual([1, 1, 1, 3]);
    const plain = await upstreamOf((_request, response) => response.end('plain'));
    const open = poolOf({ baseURL: plain.url, ...way });
    expect((await open.use(({ client }) => client.get('/'))).data).toBe('plain');
    expect(proxy.requests).toEqual([`GET ${plain.url}/`]);
  });

  it('tell of a wrong password for a forwarding proxy by its status', async () => {
    const proxy = await proxyOf({ credentials: 'user:another' });
    const server = await upstreamOf((_request, response) => response.end('ok'));
    const pool = poolOf({ baseURL: server.url, proxy: withPassword(proxy), transport });
    const error = await failure(pool.use(({ client }) => client.get('/')));
    expect(error).toMatchObject({ name: 'HttpError', status: 407, retryable: false });
    expect(inspect(error, { depth: Infinity })).not.toMatch(new RegExp(`${SECRET}|${KEY}|${BASIC}`));
    expect(server.requests).toEqual([]);
  });
});

describe('a tunnel', () => {
  it('is asked for by name and port, and the name is left to the proxy to look up', async () => {
    const proxy = await proxyOf({ onConnect: (socket) => socket.end('HTTP/1.1 503 Busy\r\n\r\n') });
    const lookup = (): never => {
      throw new Error('nobody was to ask');
    };
    const ask = (baseURL: string): Promise<HttpDialError> =>
      failure(dial(dialerOf({ baseURL, proxy: proxy.url, network: { lookup } })));
    for (const baseURL of ['https://api.test/v1', 'https://api.test:8443', 'https://[::1]', 'https://[::1]:8443']) {
      expect(await ask(baseURL)).toMatchObject({ code: 'HTTP_PROXY_REFUSED' });
    }
    expect(proxy.tunnels).toEqual(['api.test:443', 'api.test:8443', '[::1]:443', '[::1]:8443']);
    expect(proxy.headers.map(({ host }) => host)).toEqual(proxy.tunnels);
  });

  it('leads to an IPv6 address', async () => {
    const proxy = await proxyOf();
    const socket = await dial(dialerOf({ baseURL: 'http://[::1]:9', proxy: proxy.url }), undefined, ['h2']).catch(
      String,
    );
    expect(socket).toContain('status 502');
    expect(proxy.tunnels).toEqual(['[::1]:9']);
  });

  it('is what HTTP/2 without TLS gets, with whatever came along with the answer', async () => {
    const proxy = await proxyOf({ onConnect: (socket) => socket.write('HTTP/1.1 200 OK\r\n\r\nearly bytes') });
    const dialer = dialerOf({ baseURL: 'http://api.test', proxy: proxy.url });
    const socket = await dial(dialer, undefined, ['h2']);
    expect(String(socket.read())).toBe('early bytes');
    expect(proxy.tunnels).toEqual(['api.test:80']);
    // Without a tunnel there is nothing to be asked for.
    await dial(dialer);
    expect(proxy.tunnels).toHaveLength(1);
    expect(dialer.forward).toEqual({ origin: 'http://api.test', headers: {} });
  });

  it('is opened with headers of the user and a user and password that were percent-encoded', async () => {
    const proxy = await proxyOf({ onConnect: (socket) => socket.end('HTTP/1.1 503 Busy\r\n\r\n') });
    const url = proxy.url.replace('://', '://d%C3%BC%20r:p%40ss%3Aw%2Frd%25@');
    await failure(dial(dialerOf({ baseURL: 'https://api.test', proxy: { url, headers: { 'X-Team': 'search' } } })));
    const { 'proxy-authorization': authorization = '', 'x-team': team } = proxy.headers[0]!;
    expect(Buffer.from(authorization.replace('Basic ', ''), 'base64').toString()).toBe('dü r:p@ss:w/rd%');
    expect(team).toBe('search');
  });

  it('keeps the TLS session of the server, and that of the proxy, for the next one', async () => {
    const proxy = await proxyOf({ tls: authority.issue() });
    const server = await upstreamOf(() => {}, ours);
    const dialer = dialerOf({ baseURL: server.url, proxy: { url: proxy.url, tls: { ca } } });
    const isResumed = async (): Promise<boolean> => ((await dial(dialer)) as TLSSocket).isSessionReused();
    expect(await isResumed()).toBe(false);
    // The tickets come after the handshake, when they come.
    let rounds = 0;
    while (!(await isResumed())) expect((rounds += 1)).toBeLessThan(50);
    expect(await isResumed()).toBe(true);
  });

  it('shows a certificate to a proxy that wants one, and never that one which is for the server', async () => {
    const proxy = await proxyOf({ tls: { ...authority.issue(), requestCert: true, rejectUnauthorized: false, ca } });
    const server = await upstreamOf(() => {}, ours);
    const shown: unknown[] = [];
    proxy.onClient = (socket) => shown.push(socket.getPeerCertificate().subject?.CN);
    const tls = { ca, ...authority.issue(['DNS:client'], 'for the server') };
    const forProxy = { ca, ...authority.issue(['DNS:client'], 'for the proxy') };
    await dial(dialerOf({ baseURL: server.url, tls, proxy: { url: proxy.url, tls: forProxy } }));
    await dial(dialerOf({ baseURL: server.url, tls, proxy: { url: proxy.url, tls: { ca } } }));
    expect(shown).toEqual(['for the proxy', undefined]);
  });
});

describe('a signal', () => {
  it('has no listener left on it by a dial that has ended, well or not', async () => {
    const proxy = await proxyOf({ tls: authority.issue() });
    const server = await upstreamOf(() => {}, ours);
    const { signal } = new AbortController();
    const way = { url: proxy.url, tls: { ca } };
    await dial(dialerOf({ baseURL: server.url, proxy: way }), signal);
    await failure(dial(dialerOf({ baseURL: server.url, proxy: way, tls: {} }), signal));
    await failure(dial(dialerOf({ baseURL: 'https://127.0.0.1:9', proxy: way }), signal));
    await failure(dial(dialerOf({ baseURL: 'https://127.0.0.1:9', proxy: false }), signal));
    await failure(dial(dialerOf({ baseURL: 'https://nowhere.invalid', proxy: false }), signal));
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });
});

describe('a proxy that opens no tunnel', () => {
  const refusals: [number, boolean][] = [
    [407, false],
    [403, false],
    [302, false],
    [429, true],
    [502, true],
    [504, true],
  ];
  it.each(refusals)('is quoted with its status %i, which is worth a retry: %s', async (status, retryable) => {
    const proxy = await proxyOf({ onConnect: (socket) => socket.end(`HTTP/1.1 ${status} No\r\n\r\n<p>${SECRET}`) });
    const proxyUrl = withPassword(proxy);
    const error = await failure(dial(dialerOf({ baseURL: 'https://api.test', proxy: proxyUrl })));
    const target = `127.0.0.1:${proxy.port}`;
    expect(error).toMatchObject({ phase: 'proxy', code: 'HTTP_PROXY_REFUSED', status, retryable, target });
    expect(error.message).toContain(`the proxy ${target} refused a tunnel to api.test:443: status ${status}`);
    expect(inspect(error, { depth: Infinity, showHidden: true })).not.toMatch(new RegExp(`${SECRET}|${BASIC}`));
    await eventually(() => proxy.openSockets === 0, 'the socket is closed');
  });

  const broken: [string, (socket: NodeJS.WritableStream) => void, string][] = [
    ['hangs up', (socket) => void socket.end(), 'ECONNRESET'],
    ['speaks something else', (socket) => void socket.end('SSH-2.0-OpenSSH_9.6\r\n'), 'HPE_INVALID_CONSTANT'],
  ];
  it.each(broken)('is named when it %s', async (_how, onConnect, code) => {
    const proxy = await proxyOf({ onConnect });
    const error = await failure(dial(dialerOf({ baseURL: 'https://api.test', proxy: proxy.url })));
    expect(error).toMatchObject({ phase: 'proxy', code, retryable: true });
    expect(error.message).toBe(`the proxy 127.0.0.1:${proxy.port} opened no tunnel to api.test:443: ${code}`);
  });

  it('is named when it is not there, and when its certificate is not accepted', async () => {
    const proxy = await proxyOf({ tls: authority.issue() });
    const asked = { baseURL: 'https://api.test', proxy: proxy.url };
    expect(await failure(dial(dialerOf(asked)))).toMatchObject({
      phase: 'proxy',
      code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
      message: expect.stringContaining(`TLS with the proxy 127.0.0.1:${proxy.port} failed`),
    });
    await proxy.stop();
    expect(await failure(dial(dialerOf(asked)))).toMatchObject({
      phase: 'proxy',
      code: 'ECONNREFUSED',
      message: `connecting to the proxy 127.0.0.1:${new URL(asked.proxy).port} failed: ECONNREFUSED`,
    });
    const byName = { baseURL: 'https://api.test', proxy: 'http://proxy.invalid:1' };
    expect(await failure(dial(dialerOf(byName)))).toMatchObject({ phase: 'proxy', target: 'proxy.invalid:1' });
  });

  it('is waited for until the pool gives the connection up, and then let go of', async () => {
    const proxy = await proxyOf({ onConnect: () => {} });
    const pool = poolOf({ baseURL: 'https://api.test', proxy: proxy.url, createTimeoutMs: 50 });
    const error = await failure(pool.acquire());
    expect(error).toMatchObject({ code: 'POOL_CREATE_FAILED' });
    expect(proxy.tunnels).toEqual(['api.test:443']);
    await eventually(() => proxy.openSockets === 0, 'the socket is closed');
  });

  it('is let go of by an abort while its tunnel leads to a server that keeps silent', async () => {
    const proxy = await proxyOf({ onConnect: (socket) => socket.write('HTTP/1.1 200 OK\r\n\r\n') });
    const controller = new AbortController();
    const dialing = failure(dial(dialerOf({ baseURL: 'https://api.test', proxy: proxy.url }), controller.signal));
    await eventually(() => proxy.tunnels.length === 1, 'the tunnel is asked for');
    await new Promise((resolve) => setTimeout(resolve, 20));
    controller.abort('enough');
    expect(await dialing).toBe('enough');
    await eventually(() => proxy.openSockets === 0, 'the socket is closed');
  });
});

describe('the environment', () => {
  const proxyFor = (
    baseURL: string,
    variables: Record<string, string>,
    problems: string[] = [],
  ): string | undefined => {
    Object.assign(process.env, variables);
    return resolveDialSettings({ baseURL }, problems).proxy?.url.origin;
  };

  it('is read when the pool is made', async () => {
    const proxy = await proxyOf();
    const server = await upstreamOf((_request, response) => response.end('ok'));
    process.env['HTTP_PROXY'] = proxy.url;
    const pool = poolOf({ baseURL: server.url });
    const direct = poolOf({ baseURL: server.url, proxy: false });
    delete process.env['HTTP_PROXY'];
    await pool.use(({ client }) => client.get('/'));
    await direct.use(({ client }) => client.get('/'));
    expect(proxy.requests).toEqual([`GET ${server.url}/`]);
    expect(server.requests).toHaveLength(2);
  });

  it('is not asked where a proxy was given, or a Unix socket', () => {
    const everything = { HTTP_PROXY: 'http://env:1', NO_PROXY: '*' };
    Object.assign(process.env, everything);
    const explicit = resolveDialSettings({ baseURL: 'http://api.test', proxy: 'http://mine:2' }, []);
    expect(explicit.proxy?.url.origin).toBe('http://mine:2');
    delete process.env['NO_PROXY'];
    const local = resolveDialSettings({ baseURL: 'http://api.test', socketPath: '/run/api.sock' }, []);
    expect(local.proxy).toBeUndefined();
  });

  const choices: [string, string, Record<string, string>, string | undefined][] = [
    ['HTTP_PROXY for http:', 'http://api.test', { HTTP_PROXY: 'http://p:1', HTTPS_PROXY: 'http://s:2' }, 'http://p:1'],
    [
      'HTTPS_PROXY for https:',
      'https://api.test',
      { HTTP_PROXY: 'http://p:1', HTTPS_PROXY: 'http://s:2' },
      'http://s:2',
    ],
    ['not HTTP_PROXY for https:', 'https://api.test', { HTTP_PROXY: 'http://p:1' }, undefined],
    ['ALL_PROXY for the rest', 'https://api.test', { HTTP_PROXY: 'http://p:1', ALL_PROXY: 'http://a:3' }, 'http://a:3'],
    [
      'small letters before capitals',
      'http://api.test',
      { HTTP_PROXY: 'http://p:1', http_proxy: 'http://q:4' },
      'http://q:4',
    ],
    ['http where no scheme is given', 'https://api.test', { HTTPS_PROXY: 'p:3128' }, 'http://p:3128'],
    ['https where that is given', 'http://api.test', { HTTP_PROXY: 'https://p:3128' }, 'https://p:3128'],
    ['none where it is empty', 'http://api.test', { HTTP_PROXY: '' }, undefined],
  ];
  it.each(choices)('means %s', (_what, baseURL, variables, expected) => {
    expect(proxyFor(baseURL, variables)).toBe(expected);
  });

  const exempt: [noProxy: string, exempted: string[], others: string[]][] = [
    ['*', ['http://api.test'], []],
    ['other.test, *', ['http://api.test'], []],
    [
      'api.test',
      ['http://api.test', 'http://API.test:81', 'http://api.test.'],
      ['http://sub.api.test', 'http://api.test.example'],
    ],
    ['API.TEST', ['http://api.test'], []],
    ['api.test.', ['http://api.test', 'http://api.test.'], []],
    ['.api.test', ['http://sub.api.test', 'http://a.sub.api.test.'], ['http://api.test', 'http://notapi.test']],
    ['*.api.test', ['http://sub.api.test'], ['http://api.test']],
    ['api.test:81', ['http://api.test:81'], ['http://api.test', 'https://api.test']],
    ['api.test:80', ['http://api.test'], ['http://api.test:81']],
    ['a.test,api.test b.test', ['http://a.test', 'http://api.test', 'http://b.test'], ['http://c.test']],
    ['10.1.2.3', ['http://10.1.2.3', 'http://[::ffff:10.1.2.3]', 'http://[::ffff:a01:203]'], ['http://10.1.2.4']],
    ['::ffff:10.1.2.3', ['http://10.1.2.3'], ['http://10.1.2.4']],
    ['10.1.0.0/16', ['http://10.1.255.3', 'http://[::ffff:10.1.2.3]'], ['http://10.2.0.1', 'http://api.test']],
    ['10.1.2.3/8', ['http://10.200.0.1'], ['http://11.0.0.1']],
    ['fd00::/8', ['http://[fd12::1]'], ['http://[fe80::1]', 'http://10.0.0.1']],
    ['[fd00::]/8', ['http://[fd12::1]'], ['http://[fe80::1]']],
    ['10.0.0.0/33, /8, 10.0.0.0/', [], ['http://10.0.0.1']],
    ['fd00::1', ['http://[fd00::1]', 'http://[fd00:0::0:1]:81'], ['http://[fd00::2]']],
    ['[fd00::1]:81', ['http://[fd00::1]:81'], ['http://[fd00::1]']],
    [
      'localhost',
      ['http://localhost', 'http://localhost.', 'http://127.0.0.1', 'http://127.9.9.9', 'http://[::1]'],
      ['http://api.test'],
    ],
    [
      '127.0.0.1',
      ['http://localhost:81', 'http://[::ffff:127.0.0.1]', 'http://0x7f.1', 'http://0.0.0.0'],
      ['http://128.0.0.1'],
    ],
    ['::1', ['http://localhost', 'http://[::1]:81', 'http://app.localhost'], ['http://notlocalhost']],
    ['localhost:81', ['http://127.0.0.1:81'], ['http://127.0.0.1']],
  ];
  it.each(exempt)('exempts by NO_PROXY=%s', (noProxy, exempted, others) => {
    const variables = { ALL_PROXY: 'http://p:1', NO_PROXY: noProxy };
    const isProxied = (url: string): boolean => proxyFor(url, variables) !== undefined;
    expect(exempted.filter(isProxied)).toEqual([]);
    expect(others.filter((url) => !isProxied(url))).toEqual([]);
  });

  it.each([`socks5://user:${SECRET}@p:1`, `http://user:${SECRET}%@p`, 'http://', `http://p/${SECRET}`])(
    'that cannot be used is refused by the name of the variable: %s',
    (value) => {
      const problems: string[] = [];
      expect(proxyFor('http://api.test', { all_proxy: value }, problems)).toBeUndefined();
      expect(problems).toEqual([
        'proxy: all_proxy of the environment: expected http://host:port or https://host:port, with user and password at most',
      ]);
    },
  );
});
