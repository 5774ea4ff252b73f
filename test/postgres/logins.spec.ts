import { inspect } from 'node:util';
import { postgresPool, type PostgresPoolOptions } from 'nestjs-pools/postgres';
import { Authority } from '../support/certificate.js';
import { describeWith, ownPostgres } from '../support/services.js';
import { failure, pidOf, Rig, until } from './rig.js';

const authority = Authority.make();
const { ca } = authority;
/** Without an address, as most certificates are. */
const { key, cert } = authority.issue(['DNS:localhost']);
const own = await ownPostgres({
  tls: { key, cert, ca },
  hba: ['hostssl all np_certified all trust clientcert=verify-ca', 'host all all all scram-sha-256'],
});

describeWith(own, 'logins', (server) => {
  const rig = new Rig(server, 'logins');
  const role = { user: 'np_rotating' };
  const setPassword = (password: string): Promise<object[]> => rig.ask(`ALTER ROLE np_rotating PASSWORD '${password}'`);

  beforeAll(async () => {
    await rig.ask('CREATE ROLE np_rotating LOGIN');
    await rig.ask('CREATE ROLE np_certified LOGIN');
  });

  it('asks a function for the password of every new connection, so that it may rotate', async () => {
    await setPassword('first');
    const asked: string[] = [];
    let current = 'first';
    const password = (): Promise<string> => {
      asked.push(current);
      return Promise.resolve(current);
    };
    const pool = rig.pool({ ...role, password, maxConnections: 2 });
    const one = await pool.acquire();
    await setPassword((current = 'second'));
    const two = await pool.acquire();
    await Promise.all([pidOf(one.connection), pidOf(two.connection)]);
    one.release();
    two.release();
    expect(asked).toEqual(['first', 'second']);
  });

  it('takes that function beside a connection string too, with and without a password in it', async () => {
    await setPassword('of the function');
    for (const login of ['np_rotating', 'np_rotating:stale']) {
      const connectionString = server.url.replace(/\/\/[^@]*@/, `//${login}@`);
      const pool = rig.pool({ connectionString, password: () => 'of the function' });
      expect((await pool.query('SELECT current_user AS me')).rows).toEqual([{ me: 'np_rotating' }]);
    }
  });

  it('does not try a wrong password again and again', async () => {
    await setPassword('right');
    let asked = 0;
    const pool = rig.pool({
      ...role,
      minConnections: 1,
      createRetry: { initialMs: 1, maxMs: 2 },
      password: () => {
        asked += 1;
        return 'wrong';
      },
    });
    expect(await failure(pool.acquire())).toMatchObject({ code: 'POOL_CREATE_FAILED', cause: { code: '28P01' } });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(asked).toBe(1);
  });

  it.each([
    ['rejects', () => Promise.reject(new Error('no token today')), 'no token today'],
    ['yields no text', () => 5 as unknown as string, 'Password must be a string'],
  ])('is a failed create when that function %s', async (_how, password, message) => {
    const pool = rig.pool({ ...role, password });
    expect(await failure(pool.acquire())).toMatchObject({ code: 'POOL_CREATE_FAILED', cause: { message } });
    await until(async () => (await rig.sessions()).length === 0, 'no session is left');
  });

  it('gives up a function that never answers, and leaves no session behind', async () => {
    const pool = rig.pool({ ...role, password: () => new Promise(() => {}), createTimeoutMs: 100 });
    expect(await failure(pool.acquire())).toMatchObject({ cause: { code: 'HOOK_TIMEOUT' } });
    await until(async () => pool.stats().overdue === 0 && (await rig.sessions()).length === 0, 'no session is left');
  });

  it('verifies the server’s certificate, by the authority and the name that it was given', async () => {
    for (const place of [{ host: 'localhost', ssl: { ca } }, { ssl: { ca, servername: 'localhost' } }]) {
      const pool = rig.pool(place);
      const { rows } = await pool.query('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()');
      expect(rows).toEqual([{ ssl: true }]);
    }
    for (const [ssl, code] of [
      [{ ca: Authority.make().ca, servername: 'localhost' }, expect.stringMatching(/SIGNATURE|SELF_SIGNED/)],
      [true, expect.stringMatching(/SIGNATURE|SELF_SIGNED/)],
      [{ ca }, 'ERR_TLS_CERT_ALTNAME_INVALID'],
    ] as const) {
      expect(await failure(rig.pool({ ssl }).acquire())).toMatchObject({ code: 'POOL_CREATE_FAILED', cause: { code } });
    }
    const plain = rig.pool({ connectionString: `${server.url}?sslmode=no-verify` });
    const { rows } = await plain.query('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()');
    expect(rows).toEqual([{ ssl: true }]);
  });

  it('shows a certificate of its own to a server that asks for one, on every connection', async () => {
    const me = { host: 'localhost', user: 'np_certified', password: 'none' };
    const pool = rig.pool({ ...me, ssl: { ca, key, cert }, maxConnections: 3 });
    const leases = await Promise.all([pool.acquire(), pool.acquire(), pool.acquire()]);
    for (const lease of leases) {
      expect((await lease.connection.query('SELECT current_user AS me')).rows).toEqual([{ me: 'np_certified' }]);
      lease.release();
    }
    expect(await failure(rig.pool({ ...me, ssl: { ca } }).acquire())).toMatchObject({ cause: { code: '28000' } });
  });

  it.each([
    ['an address', { ssl: { ca, key, cert, servername: 'localhost' } }],
    ['a name', { host: 'localhost', ssl: { ca, key, cert } }],
  ])('cancels a query over TLS to %s', async (_place, options) => {
    const pool = rig.pool({ ...options, maxConnections: 1 });
    const pid = await pool.use(pidOf);
    const stop = new AbortController();
    const query = failure(pool.query('SELECT pg_sleep(60)', [], { signal: stop.signal }));
    await until(async () => (await rig.sessions()).some(({ state }) => state === 'active'), 'it runs');
    stop.abort(new Error('enough'));
    expect((await query).message).toBe('enough');
    expect(await pool.use(pidOf)).toBe(pid);
  });

  it('works, and cancels, over a Unix socket', async () => {
    const pool = rig.pool({ host: server.socketPath, maxConnections: 1 });
    const pid = await pool.use(pidOf);
    const signal = AbortSignal.timeout(50);
    expect(await failure(pool.query('SELECT pg_sleep(60)', [], { signal }))).toMatchObject({ name: 'TimeoutError' });
    expect(await pool.use(pidOf)).toBe(pid);
  });

  it('shows no password and no key to whoever prints anything of it', async () => {
    const secret = 'planted-password-4711';
    await setPassword(secret);
    const url = server.url.replace(/\/\/[^@]*@/, `//np_rotating:${secret}@`);
    const secrets = [secret, key, key.split('\n')[1]!];
    for (const options of [
      { connectionString: url },
      { ...role, password: secret, ssl: { ca, key, cert, servername: 'localhost' } },
      { ...role, password: () => secret },
    ] satisfies PostgresPoolOptions[]) {
      const place = 'connectionString' in options ? {} : rig.place;
      const definition = postgresPool({ ...place, ...options });
      const pool = rig.pool(options, { leakWarnAfterMs: 60_000, leakStackSampleRate: 1 });
      const lease = await pool.acquire();
      await lease.connection.query('SELECT 1');
      const errors = [
        await failure(lease.connection.query('SELECT nothing_of_this_name')),
        await failure(rig.pool({ ...options, onConnect: 'SELEKT' }).acquire()),
        await failure(Promise.resolve().then(() => postgresPool({ ...options, colour: secret } as object))),
      ];
      const cancelled = await failure(pool.query('SELECT 1', [], { signal: AbortSignal.abort() }));
      const things: unknown[] = [
        definition,
        definition.factory,
        pool,
        lease,
        lease.connection,
        pool.stats(),
        ...errors,
        cancelled,
      ];
      for (const thing of things) {
        for (const shown of [inspect(thing, { depth: 6, showHidden: true }), safeJson(thing), `${thing as string}`]) {
          for (const planted of secrets) expect(shown.includes(planted)).toBe(false);
        }
      }
      lease.release();
      expect(inspect(lease.info)).not.toContain(secret);
    }
  });
});

function safeJson(thing: unknown): string {
  try {
    return JSON.stringify(thing) ?? '';
  } catch {
    return '';
  }
}
