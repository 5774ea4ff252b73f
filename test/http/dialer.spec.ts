import type { LookupAddress, LookupOptions } from 'node:dns';
import { rmSync } from 'node:fs';
import { createServer, type LookupFunction, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import type { HttpDialError } from '../../lib/http/dial-error.js';
import { describeDial, type HttpDialOptions, resolveDialSettings } from '../../lib/http/dial-settings.js';
import { Dialer } from '../../lib/http/dialer.js';
import { eventually } from '../support/http-server.js';
import { SilentAddress } from '../support/silent-address.js';

const SECRET = 'planted-secret-4711';
const servers: Server[] = [];
const accepted = new Set<Socket>();
const opened = new Set<Socket>();
const silent: SilentAddress[] = [];

async function listen(at: { port: number; host: string } | { path: string }): Promise<Server> {
  const server = createServer((socket) => {
    accepted.add(socket.on('error', () => {}));
    socket.once('close', () => accepted.delete(socket));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(at, resolve));
  return server;
}

function portOf(server: Server): number {
  return (server.address() as { port: number }).port;
}

function dialerOf(options: HttpDialOptions): Dialer {
  const problems: string[] = [];
  const settings = resolveDialSettings({ proxy: false, ...options }, problems);
  expect(problems).toEqual([]);
  return new Dialer(settings);
}

async function dial(dialer: Dialer, signal = new AbortController().signal): Promise<Socket> {
  const socket = await dialer.dial(signal);
  opened.add(socket);
  return socket;
}

async function failure(work: Promise<unknown>): Promise<HttpDialError> {
  return work.then(
    () => Promise.reject(new Error('did not fail')),
    (error: HttpDialError) => error,
  );
}

async function keepSilent(host: string, port: number): Promise<SilentAddress> {
  const address = await SilentAddress.start(host, port);
  silent.push(address);
  return address;
}

/** Connections of this process that have not been answered yet. */
function attempts(): number {
  return process.getActiveResourcesInfo().filter((name) => name.endsWith('ConnectWrap')).length;
}

/** Resolves every name to these, and counts. */
function namesOf(addresses: readonly string[]): LookupFunction & { asked: string[] } {
  const asked: string[] = [];
  const lookup = (
    name: string,
    _options: LookupOptions,
    callback: (error: null, found: LookupAddress[]) => void,
  ): void => {
    asked.push(name);
    const found = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
    setImmediate(() => callback(null, found));
  };
  return Object.assign(lookup as LookupFunction, { asked });
}

afterEach(async () => {
  for (const socket of [...opened, ...accepted]) socket.destroy();
  opened.clear();
  await Promise.all(silent.splice(0).map((address) => address.stop()));
  await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
  accepted.clear();
});

describe('a dialed socket', () => {
  it('is connected, sends without delay and does not end the process by an error', async () => {
    const server = await listen({ port: 0, host: '127.0.0.1' });
    const socket = await dial(dialerOf({ baseURL: `http://127.0.0.1:${portOf(server)}` }));
    expect(socket).toMatchObject({ connecting: false, destroyed: false, writable: true });
    socket.emit('error', new Error('nobody listens'));
  });

  it('goes to an IPv6 address that stands in brackets', async () => {
    const server = await listen({ port: 0, host: '::1' });
    const socket = await dial(dialerOf({ baseURL: `http://[::1]:${portOf(server)}` }));
    expect(socket.remoteAddress).toBe('::1');
  });

  it('comes from the address of this machine that was asked for', async () => {
    const server = await listen({ port: 0, host: '127.0.0.1' });
    const baseURL = `http://127.0.0.1:${portOf(server)}`;
    await dial(dialerOf({ baseURL, network: { localAddress: '127.0.0.5' } }));
    await eventually(() => accepted.size === 1, 'the server sees it');
    expect([...accepted][0]!.remoteAddress).toBe('127.0.0.5');
  });
});

describe('a Unix socket', () => {
  const path = join(tmpdir(), `nestjs-pools-dialer-${process.pid}.sock`);
  afterEach(() => rmSync(path, { force: true }));

  it('is connected to by its path, whatever the name in the base URL', async () => {
    await listen({ path });
    await dial(dialerOf({ baseURL: 'http://nowhere.invalid/v1', socketPath: path }));
    await eventually(() => accepted.size === 1, 'the server sees it');
  });

  (process.platform === 'linux' ? it : it.skip)('may be an abstract one', async () => {
    await listen({ path: `\0nestjs-pools-${process.pid}` });
    await dial(dialerOf({ baseURL: 'http://api', socketPath: `\0nestjs-pools-${process.pid}` }));
    await eventually(() => accepted.size === 1, 'the server sees it');
  });

  it('is named when nobody listens on it', async () => {
    const error = await failure(dial(dialerOf({ baseURL: 'http://api', socketPath: '/run/nobody.sock' })));
    expect(error).toMatchObject({ phase: 'tcp', code: 'ENOENT', target: '/run/nobody.sock', retryable: true });
    expect(error.message).toBe('connecting to /run/nobody.sock failed: ENOENT');
  });
});

describe('a name with several addresses', () => {
  it('is reached by the next one when one refuses', async () => {
    const server = await listen({ port: 0, host: '127.0.0.1' });
    const network = { lookup: namesOf(['127.0.0.2', '127.0.0.1']), attemptDelayMs: 3_000 };
    const started = performance.now();
    const socket = await dial(dialerOf({ baseURL: `http://api.test:${portOf(server)}`, network }));
    expect(socket.remoteAddress).toBe('127.0.0.1');
    expect(performance.now() - started).toBeLessThan(2_000);
  });

  it.each([
    ['IPv4', '127.0.0.9'],
    ['IPv6', '::1'],
  ])('is reached although a dead %s address comes first', async (_family, dead) => {
    const server = await listen({ port: 0, host: '127.0.0.1' });
    await keepSilent(dead, portOf(server));
    const network = { lookup: namesOf([dead, '127.0.0.1']), attemptDelayMs: 20 };
    const socket = await dial(dialerOf({ baseURL: `http://api.test:${portOf(server)}`, network }));
    expect(socket.remoteAddress).toBe('127.0.0.1');
  });

  it('is tried by families in turn, the first answer first', async () => {
    const server = await listen({ port: 0, host: '::1' });
    for (const dead of ['127.0.0.7', '127.0.0.8', '127.0.0.9']) await keepSilent(dead, portOf(server));
    const network = { lookup: namesOf(['127.0.0.7', '127.0.0.8', '127.0.0.9', '::1']), attemptDelayMs: 500 };
    const started = performance.now();
    const socket = await dial(dialerOf({ baseURL: `http://api.test:${portOf(server)}`, network }));
    expect(socket.remoteAddress).toBe('::1');
    expect(performance.now() - started).toBeLessThan(990);
  });

  it('is reached by the first address when that was only slow, and the others fail', async () => {
    const server = await listen({ port: 0, host: '127.0.0.1' });
    const slow = await keepSilent('127.0.0.9', portOf(server));
    const network = { lookup: namesOf(['127.0.0.9', '127.0.0.8']), attemptDelayMs: 5 };
    const dialing = dial(dialerOf({ baseURL: `http://api.test:${portOf(server)}`, network }));
    await new Promise((resolve) => setTimeout(resolve, 60));
    slow.wake();
    expect((await dialing).remoteAddress).toBe('127.0.0.9');
  });

  it('has nobody left trying the others once one has answered', async () => {
    const server = await listen({ port: 0, host: '127.0.0.1' });
    await keepSilent('127.0.0.9', portOf(server));
    const before = attempts();
    const network = { lookup: namesOf(['127.0.0.9', '127.0.0.1']), attemptDelayMs: 5 };
    await dial(dialerOf({ baseURL: `http://api.test:${portOf(server)}`, network }));
    await eventually(() => attempts() === before, 'the slow attempt has ended');
  });

  it('is not dialed at its other addresses when the socket dies later on', async () => {
    const server = await listen({ port: 0, host: '127.0.0.1' });
    await listen({ port: portOf(server), host: '127.0.0.2' });
    const network = { lookup: namesOf(['127.0.0.1', '127.0.0.2']) };
    const socket = await dial(dialerOf({ baseURL: `http://api.test:${portOf(server)}`, network }));
    await eventually(() => accepted.size === 1, 'the server sees it');
    for (const one of accepted) one.resetAndDestroy();
    await new Promise((resolve) => socket.once('close', resolve));
    expect(socket.errored).toMatchObject({ code: 'ECONNRESET' });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(accepted.size).toBe(0);
  });

  it('is tried by one address alone where that was asked for', async () => {
    const server = await listen({ port: 0, host: '127.0.0.1' });
    const network = { lookup: namesOf(['127.0.0.2', '127.0.0.1']), autoSelectFamily: false };
    const error = await failure(dial(dialerOf({ baseURL: `http://api.test:${portOf(server)}`, network })));
    expect(error.code).toBe('ECONNREFUSED');
  });

  it('fails with one plain error that names each of them', async () => {
    const network = { lookup: namesOf(['127.0.0.2', '127.0.0.3']) };
    const error = await failure(dial(dialerOf({ baseURL: 'http://api.test:9/v1', network })));
    expect(error).toMatchObject({ name: 'HttpDialError', phase: 'tcp', code: 'ECONNREFUSED', target: 'api.test:9' });
    expect(error.message).toBe(
      'connecting to api.test:9 failed: ECONNREFUSED (127.0.0.2: ECONNREFUSED, 127.0.0.3: ECONNREFUSED)',
    );
    expect(error).not.toBeInstanceOf(AggregateError);
  });
});

describe('the addresses of a name', () => {
  it('are asked for anew for every socket, and followed', async () => {
    const first = await listen({ port: 0, host: '127.0.0.2' });
    const addresses = ['127.0.0.2'];
    const lookup = namesOf(addresses);
    const baseURL = `http://api.test:${portOf(first)}`;
    const dialer = dialerOf({ baseURL, network: { lookup } });
    expect((await dial(dialer)).remoteAddress).toBe('127.0.0.2');
    await listen({ port: portOf(first), host: '127.0.0.3' });
    addresses[0] = '127.0.0.3';
    expect((await dial(dialer)).remoteAddress).toBe('127.0.0.3');
    expect(lookup.asked).toEqual(['api.test', 'api.test']);
  });

  it('may come one at a time, from a resolver that knows of no more', async () => {
    const server = await listen({ port: 0, host: '127.0.0.1' });
    const lookup: LookupFunction = (_name, _options, callback) => callback(null, '127.0.0.1', 4);
    await dial(dialerOf({ baseURL: `http://api.test:${portOf(server)}`, network: { lookup } }));
  });

  it('are asked for in the family that was asked for', async () => {
    const asked: LookupOptions[] = [];
    const lookup: LookupFunction = (_name, options, callback) => {
      asked.push(options);
      callback(Object.assign(new Error('none'), { code: 'ENODATA' }), []);
    };
    await failure(dial(dialerOf({ baseURL: 'http://api.test', network: { lookup, family: 6 } })));
    await failure(dial(dialerOf({ baseURL: 'http://api.test', network: { lookup, localAddress: '127.0.0.1' } })));
    expect(asked).toMatchObject([
      { family: 6, all: true },
      { family: 4, all: true },
    ]);
  });

  const unusable: [string, LookupFunction, string][] = [
    [
      'fails',
      (_name, _options, callback) => callback(Object.assign(new Error('no'), { code: 'ENOTFOUND' }), []),
      'ENOTFOUND',
    ],
    ['finds nothing', (_name, _options, callback) => callback(null, []), 'ENOTFOUND'],
    [
      'answers with what is no address',
      (_name, _options, callback) => callback(null, 'elsewhere.test', 4),
      'ENOTFOUND',
    ],
    [
      'throws',
      () => {
        throw Object.assign(new Error('broken'), { code: 'EBROKEN' });
      },
      'EBROKEN',
    ],
  ];
  it.each(unusable)('are a failure of their own when the resolver %s', async (_how, lookup, code) => {
    const error = await failure(dial(dialerOf({ baseURL: 'http://api.test/v1', network: { lookup } })));
    expect(error).toMatchObject({ phase: 'dns', code, target: 'api.test:80', retryable: true });
    expect(error.message).toBe(`looking up the address of api.test:80 failed: ${code}`);
  });
});

describe('a dial that is aborted', () => {
  it('does not begin when that came first', async () => {
    const server = await listen({ port: 0, host: '127.0.0.1' });
    const lookup = namesOf(['127.0.0.1']);
    const dialer = dialerOf({ baseURL: `http://api.test:${portOf(server)}`, network: { lookup } });
    expect(await failure(dial(dialer, AbortSignal.abort('early')))).toBe('early');
    expect(lookup.asked).toEqual([]);
    expect(accepted.size).toBe(0);
  });

  it('ends while the name is looked up, and opens nothing when the answer comes after all', async () => {
    const server = await listen({ port: 0, host: '127.0.0.1' });
    let answer = (): void => {};
    const lookup: LookupFunction = (_name, _options, callback) => (answer = () => callback(null, '127.0.0.1', 4));
    const controller = new AbortController();
    const dialer = dialerOf({ baseURL: `http://api.test:${portOf(server)}`, network: { lookup } });
    const dialing = failure(dial(dialer, controller.signal));
    controller.abort('enough');
    expect(await dialing).toBe('enough');
    answer();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(accepted.size).toBe(0);
  });

  it('ends every attempt while nobody answers', async () => {
    const server = await listen({ port: 0, host: '127.0.0.1' });
    await keepSilent('127.0.0.8', portOf(server));
    await keepSilent('127.0.0.9', portOf(server));
    const before = attempts();
    const controller = new AbortController();
    const network = { lookup: namesOf(['127.0.0.8', '127.0.0.9']), attemptDelayMs: 1 };
    const baseURL = `http://api.test:${portOf(server)}`;
    const dialing = failure(dial(dialerOf({ baseURL, network }), controller.signal));
    await eventually(() => attempts() === before + 2, 'both are tried');
    controller.abort('enough');
    expect(await dialing).toBe('enough');
    await eventually(() => attempts() === before, 'both attempts have ended');
  });
});

describe('what a dialer is told', () => {
  const wrong: [string, Record<string, unknown>, string][] = [
    ['tls that is no object', { baseURL: 'https://host', tls: SECRET }, 'tls: expected an object, got a text'],
    [
      'an authority that is none',
      { baseURL: 'https://host', tls: { ca: SECRET } },
      'tls.ca: expected certificates, each beginning with -----BEGIN',
    ],
    ['a key that is none', { baseURL: 'https://host', tls: { key: SECRET } }, 'tls: the certificate, key or authority'],
    ['an empty path', { socketPath: '' }, 'socketPath: expected a path such as /run/api.sock, got an empty text'],
    ['a path and a proxy', { socketPath: '/a', proxy: 'http://p:1' }, 'socketPath: must not be given with a proxy'],
    ['a proxy of another kind', { proxy: `socks5://${SECRET}:1` }, 'proxy: expected http://host:port'],
    ['a proxy with a path', { proxy: `http://p:1/${SECRET}` }, 'proxy: expected http://host:port'],
    ['a proxy that is no URL', { proxy: `http://${SECRET} x` }, 'proxy: expected http://host:port'],
    ['a password that decodes to nothing', { proxy: `http://u:${SECRET}%zz@p:1` }, 'proxy: expected http://host:port'],
    ['a proxy that is a number', { proxy: 3128 }, 'proxy: expected a URL, an object or false, got another number'],
    ['a misspelt option of a proxy', { proxy: { uri: SECRET } }, 'proxy.uri: no such option'],
    [
      'a header in two lines',
      { proxy: { url: 'http://p', headers: { a: `${SECRET}\n` } } },
      'proxy.headers.a: expected',
    ],
    [
      'an unusable key for the proxy',
      { proxy: { url: 'https://p', tls: { key: SECRET } } },
      'proxy.tls: the certificate',
    ],
    ['network that is no object', { network: 4 }, 'network: expected an object, got another number'],
    ['a misspelt option of the network', { network: { localAdress: SECRET } }, 'network.localAdress: no such option'],
    ['a family that is none', { network: { family: 5 } }, 'network.family: expected 0, 4 or 6'],
    ['a lookup that is none', { network: { lookup: SECRET } }, 'network.lookup: expected a function'],
    ['an address that is none', { network: { localAddress: SECRET } }, 'network.localAddress: expected an IP address'],
    [
      'two families',
      { network: { localAddress: '::1', family: 4 } },
      'network.localAddress: must be of network.family',
    ],
    [
      'a delay that is none',
      { network: { attemptDelayMs: 0 } },
      'network.attemptDelayMs: expected a number of milliseconds above 0',
    ],
  ];
  it.each(wrong)('is refused for %s, by its name and without its value', (_what, options, message) => {
    const problems: string[] = [];
    resolveDialSettings({ baseURL: 'http://host', ...options } as HttpDialOptions, problems);
    expect(problems).toEqual([expect.stringContaining(message)]);
    expect(problems.join()).not.toContain(SECRET);
  });

  it('shows where it goes and which way, without credentials', () => {
    const describe = (options: HttpDialOptions): string => describeDial(resolveDialSettings(options, []));
    const baseURL = 'https://api.example.com/v1/';
    expect(describe({ baseURL, proxy: false })).toBe('https://api.example.com/v1');
    expect(describe({ baseURL, proxy: `http://user:${SECRET}@proxy:3128` })).toBe(
      'https://api.example.com/v1 via http://proxy:3128',
    );
    expect(describe({ baseURL, socketPath: '/run/api.sock' })).toBe('https://api.example.com/v1 at /run/api.sock');
    expect(describe({ baseURL, socketPath: '\0api' })).toBe('https://api.example.com/v1 at @api');
  });

  it('is not shown by a dialer that is printed', () => {
    const proxy = { url: `http://user:${SECRET}@proxy:3128`, headers: { 'x-key': SECRET } };
    const dialer = dialerOf({ baseURL: 'http://api', proxy });
    for (const view of [
      inspect(dialer, { depth: Infinity, showHidden: true, getters: false }),
      JSON.stringify(dialer),
    ]) {
      expect(view).not.toContain(SECRET);
      expect(view).not.toContain(Buffer.from(`user:${SECRET}`).toString('base64'));
    }
  });
});
