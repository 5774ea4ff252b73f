import { randomBytes } from 'node:crypto';
import { type AddressInfo, connect, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { createServer, type Server as TlsServer, type TlsOptions, type TLSSocket } from 'node:tls';
import { inspect } from 'node:util';
import type { HttpDialError } from '../../lib/http/dial-error.js';
import { type HttpDialOptions, resolveDialSettings } from '../../lib/http/dial-settings.js';
import { Dialer } from '../../lib/http/dialer.js';
import { TlsSessions } from '../../lib/http/tls-sessions.js';
import { Authority, bundle } from '../support/certificate.js';
import { eventually } from '../support/http-server.js';

const authority = Authority.make();
const { ca } = authority;
const ours = authority.issue();
const PASSPHRASE = 'planted-passphrase';

/** A real TLS server that keeps what it learns of its clients. */
class Upstream {
  readonly accepted: TLSSocket[] = [];

  private constructor(private readonly server: TlsServer) {
    server.on('secureConnection', (socket) => {
      this.accepted.push(socket.on('error', () => {}));
      // After the tickets, which come after this event: who has read it has read them.
      setImmediate(() => socket.write('.'));
    });
  }

  static async start(options: TlsOptions = {}): Promise<Upstream> {
    const server = createServer({ ...ours, ...options }).on('tlsClientError', () => {});
    await listening(server);
    return new Upstream(server);
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  forgetSessions(): void {
    this.server.setTicketKeys(randomBytes(48));
  }

  /** A client, the first by default, once the server has seen all of its handshake. */
  async client(index = 0): Promise<TLSSocket> {
    await eventually(() => this.accepted.length > index, 'the server has seen the handshake');
    return this.accepted[index]!;
  }
}

const servers: Server[] = [];
const sockets: Socket[] = [];

async function listening(server: Server): Promise<void> {
  servers.push(server);
  server.on('connection', (socket: Socket) => sockets.push(socket.on('error', () => {})));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
}

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
});

function dialerOf(server: { port: number }, options: Partial<HttpDialOptions> = {}): Dialer {
  const problems: string[] = [];
  const baseURL = `https://localhost:${server.port}`;
  const settings = resolveDialSettings({ baseURL, proxy: false, tls: { ca }, ...options }, problems);
  expect(problems).toEqual([]);
  return new Dialer(settings);
}

async function dial(dialer: Dialer, signal = new AbortController().signal, alpn?: string[]): Promise<TLSSocket> {
  const socket = await dialer.dial(signal, alpn);
  sockets.push(socket);
  return socket as TLSSocket;
}

async function failure(work: Promise<unknown>): Promise<HttpDialError> {
  return work.then(
    () => Promise.reject(new Error('did not fail')),
    (error: HttpDialError) => error,
  );
}

/** Once the client has read what the server sends after its handshake. */
function settled(socket: TLSSocket): Promise<unknown> {
  return new Promise((resolve) => socket.once('data', resolve));
}

describe('the certificate of a server', () => {
  it('is accepted when its authority was given', async () => {
    const socket = await dial(dialerOf(await Upstream.start()));
    expect(socket.authorized).toBe(true);
  });

  it('is refused otherwise, with the code, the address and a cure', async () => {
    const server = await Upstream.start();
    const error = await failure(dial(dialerOf(server, { tls: {} })));
    expect(error).toMatchObject({
      name: 'HttpDialError',
      phase: 'tls',
      code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
      target: `localhost:${server.port}`,
      retryable: false,
    });
    expect(error.message).toContain(
      `TLS with localhost:${server.port} failed: UNABLE_TO_VERIFY_LEAF_SIGNATURE; give the`,
    );
    expect(error.message).toContain('tls.ca');
  });

  it('is refused for a name that it is not made for', async () => {
    const server = await Upstream.start(authority.issue(['DNS:elsewhere.test']));
    const error = await failure(dial(dialerOf(server)));
    expect(error).toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID', retryable: false });
    expect(error.message).toContain('tls.servername');
  });

  it('is refused again the next time, also in TLS 1.2, whose session comes before the judgement', async () => {
    const server = await Upstream.start({ ...authority.issue(['DNS:elsewhere.test']), maxVersion: 'TLSv1.2' });
    const dialer = dialerOf(server);
    for (let round = 0; round < 3; round += 1) {
      expect((await failure(dial(dialer))).code).toBe('ERR_TLS_CERT_ALTNAME_INVALID');
    }
  });

  it('is accepted unseen where that was asked for', async () => {
    const socket = await dial(dialerOf(await Upstream.start(), { tls: { rejectUnauthorized: false } }));
    expect(socket.authorized).toBe(false);
  });

  it('is accepted for the address in the base URL, whatever host and port stand in tls', async () => {
    const server = await Upstream.start();
    const tls = { ca, host: 'elsewhere.invalid', port: 1, path: '/nowhere' };
    await dial(dialerOf(server, { baseURL: `https://127.0.0.1:${server.port}`, tls }));
  });
});

describe('the name that a server is asked for', () => {
  it.each([
    ['is the host of the base URL', 'localhost', {}, 'localhost'],
    ['has no dot at its end', 'localhost.', {}, 'localhost'],
    ['is none for an IP address', '127.0.0.1', {}, false],
    ['is the one in tls when it stands there', '127.0.0.1', { servername: 'localhost' }, 'localhost'],
  ])('%s', async (_what, host, tls, seen) => {
    const server = await Upstream.start();
    const lookup: Parameters<typeof dialerOf>[1] = {
      network: { lookup: (_name, _options, callback) => callback(null, '127.0.0.1', 4) },
    };
    await dial(dialerOf(server, { baseURL: `https://${host}:${server.port}`, tls: { ca, ...tls }, ...lookup }));
    expect((await server.client()).servername).toBe(seen);
  });
});

describe('the certificate of a client', () => {
  const mutual = { requestCert: true, rejectUnauthorized: true, ca };
  const client = authority.issue(['DNS:client'], 'the client', PASSPHRASE);
  const unlocked = authority.issue(['DNS:client'], 'the client');

  it.each([
    ['as certificate and key', unlocked],
    ['with a key that a passphrase unlocks', { ...client, passphrase: PASSPHRASE }],
    ['as one file', { pfx: bundle(unlocked, PASSPHRASE), passphrase: PASSPHRASE }],
  ])('is shown to a server that wants it: %s', async (_how, tls) => {
    const server = await Upstream.start(mutual);
    await dial(dialerOf(server, { tls: { ca, ...tls } }));
    expect((await server.client()).getPeerCertificate().subject.CN).toBe('the client');
  });

  it('is asked for in the error when there is none', async () => {
    const server = await Upstream.start({ ...mutual, maxVersion: 'TLSv1.2' });
    const error = await failure(dial(dialerOf(server)));
    expect(error).toMatchObject({ phase: 'tls', code: 'ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE' });
    expect(error.message).toContain('tls.cert');
  });

  it('is checked against its key when the pool is made, without a word of the passphrase', () => {
    const problems: string[] = [];
    const check = (tls: object): void => void resolveDialSettings({ baseURL: 'https://host', tls }, problems);
    check({ cert: client.cert, key: ours.key });
    check({ ...client, passphrase: 'not it' });
    check({ pfx: bundle(unlocked, PASSPHRASE), passphrase: 'not it' });
    check({ ...client, passphrase: PASSPHRASE });
    expect(problems).toHaveLength(3);
    for (const problem of problems)
      expect(problem).toMatch(/^tls: the certificate, key or authority cannot be used \(ERR_/);
    expect(problems.join()).not.toContain('not it');
  });

  it('may change while the pool is open, and then counts for the next connection', async () => {
    const server = await Upstream.start(mutual);
    const names = ['first', 'second', 'second'];
    const issued = new Map([...new Set(names)].map((name) => [name, authority.issue(['DNS:client'], name)]));
    const asked = [...names];
    const dialer = dialerOf(server, { tls: async () => ({ ca, ...issued.get(asked.shift()!) }) });
    const seen: unknown[] = [];
    for (const index of names.keys()) {
      const socket = await dial(dialer);
      await settled(socket);
      // The server would take a resumed session's client for whom it was when the session began.
      seen.push([(await server.client(index)).getPeerCertificate().subject.CN, socket.isSessionReused()]);
    }
    expect(seen).toEqual([
      ['first', false],
      ['second', false],
      ['second', true],
    ]);
  });
});

describe('a function given as tls', () => {
  it('fails the dial with its own error as the cause', async () => {
    const cause = new Error('the vault is sealed');
    const error = await failure(dial(dialerOf({ port: 1 }, { tls: () => Promise.reject(cause) })));
    expect(error).toMatchObject({ phase: 'tls', retryable: true, cause });
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('sealed');
      },
      'TLS with localhost:1 was not begun: the function given as tls failed',
    ],
    ['returns nothing', () => undefined as never, 'returned no options'],
    ['returns a key that is none', () => ({ key: PASSPHRASE }), 'cannot be used: ERR_OSSL_'],
  ])('fails the dial when it %s', async (_how, tls, message) => {
    const error = await failure(dial(dialerOf({ port: 1 }, { tls })));
    expect(error.message).toContain(message);
    expect(inspect(error)).not.toContain(PASSPHRASE);
  });

  it('is waited for no longer than the dial', async () => {
    const controller = new AbortController();
    const dialing = failure(dial(dialerOf({ port: 1 }, { tls: () => new Promise(() => {}) }), controller.signal));
    controller.abort('enough');
    expect(await dialing).toBe('enough');
  });
});

describe('the protocols that are offered', () => {
  it('are HTTP/1.1, or those that the dial asks for', async () => {
    const server = await Upstream.start({ ALPNProtocols: ['h2', 'http/1.1'] });
    const dialer = dialerOf(server, { tls: { ca, ALPNProtocols: ['spdy'] } });
    expect((await dial(dialer)).alpnProtocol).toBe('http/1.1');
    expect((await dial(dialer, undefined, ['h2', 'http/1.1'])).alpnProtocol).toBe('h2');
  });

  it('are named in an error when the server speaks none of them', async () => {
    const server = await Upstream.start({ ALPNProtocols: ['h2'] });
    const error = await failure(dial(dialerOf(server)));
    expect(error).toMatchObject({ phase: 'tls', code: expect.stringContaining('NO_APPLICATION_PROTOCOL') });
    expect(error.message).toContain("the pool's protocol");
  });
});

describe('the TLS session of a pool', () => {
  it.each(['TLSv1.3', 'TLSv1.2'] as const)(
    'is resumed by 200 of 200 connections after the first, in %s',
    async (version) => {
      const server = await Upstream.start({ maxVersion: version });
      const dialer = dialerOf(server);
      await settled(await dial(dialer));
      let resumed = 0;
      for (let round = 0; round < 10; round += 1) {
        const burst = await Promise.all(Array.from({ length: 20 }, () => dial(dialer)));
        for (const socket of burst) resumed += Number(socket.isSessionReused());
        for (const socket of burst) socket.destroy();
      }
      expect(resumed).toBe(200);
    },
    30_000,
  );

  it('is begun anew when the server has forgotten it, and resumed from there', async () => {
    const server = await Upstream.start();
    const dialer = dialerOf(server);
    const isReused = async (): Promise<boolean> => {
      const socket = await dial(dialer);
      await settled(socket);
      return socket.isSessionReused();
    };
    expect([await isReused(), await isReused()]).toEqual([false, true]);
    server.forgetSessions();
    expect([await isReused(), await isReused()]).toEqual([false, true]);
  });

  it('is not offered a second time to a server that hangs up on it', async () => {
    const server = await Upstream.start();
    let first = 0;
    let hungUp = 0;
    const front = createTcpServer((client) => {
      client.once('data', (hello: Buffer) => {
        first ||= hello.length;
        // A session in it makes it longer, by its ticket.
        if (hello.length > first + 100) {
          hungUp += 1;
          return client.destroy();
        }
        const onward = connect(server.port, '127.0.0.1').on('error', () => {});
        sockets.push(onward);
        onward.write(hello);
        client.pipe(onward).pipe(client);
        return undefined;
      });
    });
    await listening(front);
    const dialer = dialerOf({ port: (front.address() as AddressInfo).port });
    await settled(await dial(dialer));
    const socket = await dial(dialer);
    expect(socket.isSessionReused()).toBe(false);
    expect(hungUp).toBe(1);
  });

  it('is another one for every dialer', async () => {
    const server = await Upstream.start();
    await settled(await dial(dialerOf(server)));
    expect((await dial(dialerOf(server))).isSessionReused()).toBe(false);
  });

  it('is handed out by a ticket of its own as long as there are several', () => {
    const sessions = new TlsSessions();
    expect(sessions.take()).toBeUndefined();
    const [one, two, three] = ['1', '2', '3'].map((text) => Buffer.from(text)) as [Buffer, Buffer, Buffer];
    for (const ticket of [one, two, three]) sessions.add(ticket);
    expect([sessions.take(), sessions.take(), sessions.take(), sessions.take()]).toEqual([three, two, one, one]);
  });

  it('takes no more room than a few tickets', () => {
    const sessions = new TlsSessions();
    const tickets = Array.from({ length: 1_000 }, (_, index) => Buffer.from(String(index)));
    for (const ticket of tickets) sessions.add(ticket);
    const kept = new Set(tickets.map(() => String(sessions.take())));
    expect(kept.size).toBe(16);
    expect(kept).toContain('999');
  });
});

describe('a handshake that goes wrong', () => {
  it('says so when the other end does not speak TLS', async () => {
    const server = createTcpServer((socket) => void socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    await listening(server);
    const { port } = server.address() as AddressInfo;
    const error = await failure(dial(dialerOf({ port })));
    expect(error).toMatchObject({ phase: 'tls', target: `localhost:${port}`, retryable: true });
    expect(error.message).toContain('does not seem to speak TLS on this port');
  });

  it('is a lost connection when the other end hangs up', async () => {
    const server = createTcpServer((socket) => void socket.once('data', () => socket.destroy()));
    await listening(server);
    const error = await failure(dial(dialerOf({ port: (server.address() as AddressInfo).port })));
    expect(error).toMatchObject({ phase: 'tls', code: 'ECONNRESET', retryable: true });
  });

  it('is ended by an abort while the other end keeps silent, at once and with its socket', async () => {
    let isOpen = false;
    const server = createTcpServer((socket) => {
      isOpen = true;
      socket.resume().once('close', () => (isOpen = false));
    });
    await listening(server);
    const controller = new AbortController();
    const dialing = failure(dial(dialerOf({ port: (server.address() as AddressInfo).port }), controller.signal));
    await eventually(() => isOpen, 'the server has the connection');
    controller.abort('enough');
    expect(await dialing).toBe('enough');
    await eventually(() => !isOpen, 'its socket is closed');
  });
});
