import { createServer, type Server as TcpServer, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { Redis } from 'ioredis';
import { makeCertificate } from '../support/certificate.js';
import { describeWith, findRedis, ownRedis } from '../support/services.js';
import { failure, RedisRig, seenByServer, until } from './rig.js';

const server = await findRedis();

describeWith(server, 'a pool of Redis connections', (server) => {
  const rig = new RedisRig(server, 'redis-pool');
  const listeners: TcpServer[] = [];
  const sockets = new Set<Socket>();

  afterEach(async () => {
    await rig.close();
    for (const socket of sockets) socket.destroy();
    await Promise.all(listeners.splice(0).map((one) => new Promise((resolve) => one.close(resolve))));
  });

  /** A server that does with a socket what it is told, and its port. */
  async function listen(handle: (socket: Socket) => void): Promise<number> {
    const listener = createServer((socket) => {
      sockets.add(socket);
      socket
        .resume()
        .on('error', () => undefined)
        .once('close', () => sockets.delete(socket));
      handle(socket);
    });
    listeners.push(listener);
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
    return (listener.address() as AddressInfo).port;
  }

  const at = (port: number) => ({ url: undefined, host: '127.0.0.1', port });

  it('lends ioredis clients that are open', async () => {
    const lease = await rig.pool().acquire();
    expect(lease.connection).toBeInstanceOf(Redis);
    expect(lease.connection.status).toBe('ready');
    expect(await lease.connection.ping()).toBe('PONG');
    lease.release();
  });

  it('opens at most maxConnections at the server, whatever the load', async () => {
    const pool = rig.pool({ maxConnections: 4 });
    await Promise.all(Array.from({ length: 400 }, () => pool.use((redis) => redis.ping())));
    expect(await rig.clients()).toHaveLength(4);
    expect(pool.stats().created).toBe(4);
  });

  it("names its connections after itself where no name is given, in CLIENT LIST's letters", async () => {
    const pool = rig.pool({ connectionName: undefined });
    expect((await pool.use(seenByServer)).name).toBe('redis-pool');
    const definition = (await import('nestjs-pools/redis')).redisPool({ url: server.url });
    const odd = definition.createPool({ name: 'my pool', factory: definition.factory });
    expect((await odd.use(seenByServer)).name).toBe('my-pool');
    await odd.close();
  });

  it('opens the database that it was given, and refuses one that the server has not', async () => {
    const of = (db: number) => rig.pool({ ...at(server.port), password: server.password || undefined, db });
    expect((await of(5).use(seenByServer)).db).toBe('5');
    const error = await failure(of(9_999).acquire());
    expect(error).toMatchObject({ code: 'POOL_CREATE_FAILED', retryable: false, cause: { code: 'ERR' } });
    expect(String(error.cause)).toContain('DB index is out of range');
    await until(async () => (await rig.clients()).length === 1, 'the refused connection is closed');
  });

  it('sets a connection up by onConnect, once', async () => {
    let calls = 0;
    const onConnect = async (redis: Redis) => {
      calls += 1;
      await redis.client('NO-EVICT', 'ON');
    };
    const pool = rig.pool({ onConnect });
    expect((await pool.use(seenByServer)).flags).toContain('e');
    await pool.use((redis) => redis.ping());
    expect(calls).toBe(1);
  });

  it('closes a connection that onConnect fails on', async () => {
    const pool = rig.pool({ onConnect: () => Promise.reject(new Error('not today')) });
    expect(await failure(pool.acquire())).toMatchObject({ cause: { message: 'not today' } });
    await until(async () => (await rig.clients()).length === 0, 'it is closed');
  });

  it('reports a refused connection at once, with the cause', async () => {
    const port = await listen(() => undefined);
    await Promise.all(listeners.splice(0).map((one) => new Promise((resolve) => one.close(resolve))));
    const error = await failure(rig.pool(at(port)).acquire());
    expect(error).toMatchObject({ code: 'POOL_CREATE_FAILED', retryable: true, cause: { code: 'ECONNREFUSED' } });
  });

  it.each<[string, string, (socket: Socket) => void]>([
    ['hangs up', 'ECONNRESET', (socket) => socket.end()],
    ['resets', 'ECONNRESET', (socket) => socket.resetAndDestroy()],
    ['is loading its data', 'LOADING', answering('-LOADING Redis is loading the dataset in memory')],
    ['has too many clients', 'ERR', answering('-ERR max number of clients reached')],
    ['speaks another protocol', 'Error', (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')],
  ])('fails to open one to a server that %s, which may pass: %s', async (_name, code, handle) => {
    const error = await failure(rig.pool(at(await listen(handle))).acquire());
    expect(error).toMatchObject({ code: 'POOL_CREATE_FAILED', retryable: true });
    expect(error.message).toMatch(new RegExp(`could not open a connection: \\w*${code}`));
    await until(() => sockets.size === 0, 'its socket is closed');
  });

  it('gives up a server that says nothing when its time is over, and leaves no socket', async () => {
    const pool = rig.pool({ ...at(await listen(() => undefined)), createTimeoutMs: 50 });
    expect(await failure(pool.acquire())).toMatchObject({ cause: { code: 'HOOK_TIMEOUT' } });
    await until(() => sockets.size === 0, 'its socket is closed');
    expect(pool.stats().overdue).toBe(0);
  });

  it('gives up a password that does not come', async () => {
    const pool = rig.pool({ password: () => new Promise<string>(() => undefined), createTimeoutMs: 50 });
    expect(await failure(pool.acquire())).toMatchObject({ cause: { code: 'HOOK_TIMEOUT' } });
    expect(pool.stats().overdue).toBe(0);
  });

  it('stops opening when the pool closes', async () => {
    const pool = rig.pool(at(await listen(() => undefined)));
    const waiting = failure(pool.acquire());
    await until(() => sockets.size === 1, 'it dials');
    await pool.close({ timeoutMs: 0 });
    expect(await waiting).toMatchObject({ code: 'POOL_CLOSED' });
    await until(() => sockets.size === 0, 'its socket is closed');
  });

  it('retires an idle connection at once when the server closes it', async () => {
    const pool = rig.pool();
    await pool.use((redis) => redis.ping());
    await rig.kill();
    await until(() => pool.stats().totalConnections === 0, 'it is gone');
    expect(pool.stats().destroyed.broken).toBe(1);
    expect(await pool.use((redis) => redis.ping())).toBe('PONG');
  });

  it('tells the borrower when the server closes a lent one', async () => {
    const pool = rig.pool();
    const lease = await pool.acquire();
    const blocked = failure(lease.connection.blpop('redis-pool:none', 0));
    await until(async () => (await rig.clients()).some(({ flags }) => flags === 'b'), 'it is blocked');
    await rig.kill();
    await until(() => lease.signal.aborted, 'the lease is told');
    expect(lease.signal.reason).toMatchObject({ code: 'POOL_CONNECTION_LOST', cause: { code: 'ECONNRESET' } });
    expect(await blocked).toBeInstanceOf(Error);
    lease.release();
    expect(pool.stats().destroyed.broken).toBe(1);
  });

  it('replaces a connection that meets a replica where it was a master', async () => {
    const pool = rig.pool();
    const lease = await pool.acquire();
    const script = "return redis.error_reply('READONLY You can\\'t write against a read only replica.')";
    expect(String(await failure(lease.connection.eval(script, 0)))).toContain('READONLY');
    expect(lease.signal.aborted).toBe(true);
    lease.release();
    expect(pool.stats().destroyed.broken).toBe(1);
  });

  it('replaces a connection after an error that its user says is the end of it', async () => {
    const pool = rig.pool({ reconnectOnError: ({ message }) => message.includes('BUSYGROUP') });
    await pool.use((redis) => failure(redis.eval("return redis.error_reply('ERR other')", 0)));
    expect(pool.stats().idleConnections).toBe(1);
    await pool.use((redis) => failure(redis.eval("return redis.error_reply('BUSYGROUP again')", 0)));
    expect(pool.stats().destroyed.broken).toBe(1);
  });

  it('finds a half-open connection by its background check', async () => {
    let isSilent = false;
    const port = await listen((socket) => {
      const answer = answering('+PONG');
      answer(socket, () => isSilent);
    });
    const pool = rig.pool({
      ...at(port),
      protocol: 2,
      minConnections: 1,
      healthCheckIntervalMs: 20,
      healthCheckTimeoutMs: 30,
    });
    await pool.ready();
    isSilent = true;
    await until(() => pool.stats().destroyed.unhealthy > 0, 'it is found out');
  });

  it('takes a server that forbids PING for alive', async () => {
    const port = await listen(answering("-NOPERM this user has no permissions to run the 'ping' command"));
    const pool = rig.pool({
      ...at(port),
      minConnections: 1,
      healthCheckIntervalMs: 10,
      protocol: 2,
      disableClientInfo: true,
    });
    await pool.ready();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(pool.stats()).toMatchObject({ totalConnections: 1, createFailed: 0, destroyed: { unhealthy: 0 } });
  });

  it('has closed its connections when close() resolves, at the server too', async () => {
    const pool = rig.pool({ minConnections: 3 });
    await pool.ready();
    expect(await rig.clients()).toHaveLength(3);
    await pool.close();
    await until(async () => (await rig.clients()).length === 0, 'the server has none left');
  });

  it('closes one with a blocked command on it without waiting for the server', async () => {
    const pool = rig.pool();
    const blocked = failure(pool.use((redis) => redis.blpop('redis-pool:none', 0)));
    await until(async () => (await rig.clients()).some(({ flags }) => flags === 'b'), 'it is blocked');
    const begun = performance.now();
    await pool.close({ timeoutMs: 0 });
    expect(performance.now() - begun).toBeLessThan(400);
    expect(await blocked).toBeInstanceOf(Error);
  });
});

/** A server that gives every command the same answer. */
function answering(line: string): (socket: Socket, isSilent?: () => boolean) => void {
  return (socket, isSilent = () => false) => {
    socket.on('data', (data) => {
      const commands = String(data).match(/^\*\d+/gm) ?? [];
      if (!isSilent()) socket.write(`${line}\r\n`.repeat(commands.length));
    });
  };
}

const guarded = await ownRedis({
  password: 'first',
  config: ['user reader on >reading ~* &* +@read +ping +select +hello +auth +client', 'enable-debug-command yes'],
});

describeWith(guarded, 'a pool of connections to a Redis server that asks for a password', (server) => {
  const rig = new RedisRig(server, 'redis-login');
  const at = { url: undefined, host: server.host, port: server.port };

  afterEach(() => rig.close());

  it('logs in, by whichever protocol and however it was told', async () => {
    for (const protocol of [2, 3] as const) {
      expect((await rig.pool({ protocol }).use(seenByServer)).name).toBe('redis-login');
      expect(await rig.pool({ ...at, password: 'first', protocol }).use((redis) => redis.ping())).toBe('PONG');
      const user = rig.pool({ ...at, username: 'reader', password: () => 'reading', protocol });
      expect(await user.use((redis) => redis.acl('WHOAMI').catch((error: Error) => error.message))).toContain('NOPERM');
      expect(await user.use((redis) => redis.get('a'))).toBeNull();
    }
  });

  it.each<[string, string, object]>([
    ['a wrong password', 'WRONGPASS', { password: 'wrong' }],
    ['no password', 'NOAUTH', {}],
    ['an unknown user', 'WRONGPASS', { username: 'nobody', password: 'first' }],
  ])('does not try %s again by itself', async (_name, code, login) => {
    for (const protocol of [2, 3] as const) {
      const pool = rig.pool({ ...at, ...login, protocol, createRetry: { initialMs: 1 }, minConnections: 1 });
      const error = await failure(pool.acquire());
      expect(error).toMatchObject({ code: 'POOL_CREATE_FAILED', retryable: false, cause: { code } });
      await new Promise((resolve) => setTimeout(resolve, 30));
      expect(pool.stats().createFailed).toBeLessThanOrEqual(2);
    }
  });

  it('asks for the password at each new connection', async () => {
    const passwords = ['first', 'second'];
    const pool = rig.pool({ ...at, password: async () => passwords.shift()!, maxConnections: 2 });
    const first = await pool.acquire();
    await first.connection.config('SET', 'requirepass', 'second');
    const second = await pool.acquire();
    expect(await second.connection.ping()).toBe('PONG');
    await second.connection.config('SET', 'requirepass', 'first');
    first.release();
    second.release();
    expect(passwords).toEqual([]);
  });

  it('fails to open one when the password function fails or gives no text', async () => {
    const failing = rig.pool({ ...at, password: () => Promise.reject(new Error('the vault is closed')) });
    expect(await failure(failing.acquire())).toMatchObject({ cause: { message: 'the vault is closed' } });
    const odd = rig.pool({ ...at, password: (() => 4711) as never });
    expect(await failure(odd.acquire())).toMatchObject({ cause: { message: 'the password function gave no text' } });
  });

  it('serves on through a restart of the server', async () => {
    const pool = rig.pool({ minConnections: 2, createRetry: { initialMs: 5, maxMs: 20 } });
    await pool.ready();
    await server.restart();
    await until(() => pool.stats().idleConnections === 2, 'the minimum is open again');
    expect(await pool.use((redis) => redis.ping())).toBe('PONG');
  });

  it('speaks over a Unix socket', async () => {
    const pool = rig.pool({ url: undefined, path: server.socketPath, password: 'first' });
    expect((await pool.use(seenByServer)).flags).toBe('U');
  });
});

const tls = makeCertificate();
const secure = await ownRedis({ password: 'safe', tls });

describeWith(secure, 'a pool of connections to a Redis server that speaks TLS', (server) => {
  const rig = new RedisRig(server, 'redis-tls');

  afterEach(() => rig.close());

  it('speaks it to a server whose authority it was given, and to no other', async () => {
    const pool = rig.pool({ tls: { ca: tls.ca } });
    expect(await pool.use((redis) => redis.ping())).toBe('PONG');
    const error = await failure(rig.pool().acquire());
    expect(error).toMatchObject({ cause: { code: 'SELF_SIGNED_CERT_IN_CHAIN' } });
  });

  it('closes what it opened', async () => {
    const pool = rig.pool({ tls: { ca: tls.ca } });
    await pool.use((redis) => redis.ping());
    await pool.close();
    expect(pool.stats().totalConnections).toBe(0);
  });
});
