import { Redis } from 'ioredis';
import { redisPool } from 'nestjs-pools/redis';
import { startRedis } from '../../support/private-servers/index.mjs';
import { Admin } from './admin.mjs';
import { ServerUpstream } from './server-upstream.mjs';

export async function start() {
  const server = await startRedis();
  const admin = new Admin(
    () => login(server),
    (redis) => redis.disconnect(),
  );
  return new RedisUpstream(server, admin);
}

async function login({ url }) {
  const redis = new Redis(url, { lazyConnect: true, retryStrategy: () => null, connectionName: 'chaos-admin' });
  redis.on('error', () => undefined);
  await redis.connect();
  return redis;
}

/** What `CLIENT INFO` says of a connection that nobody has done anything to. */
const CLEAN = { db: '0', sub: '0', psub: '0', multi: '-1', name: 'chaos', flags: 'N' };

class RedisUpstream extends ServerUpstream {
  definition(place, limits) {
    return redisPool({ ...place, password: this.server.password, connectionName: 'chaos', ...limits });
  }

  async borrow(borrower) {
    const { connection: redis, random, token } = borrower;
    const [answered, info] = await borrower.step(Promise.all([redis.echo(token), redis.client('INFO')]));
    borrower.expect(answered === token, "a borrower got another's answer");
    const found = fieldsOf(info);
    for (const [what, value] of Object.entries(CLEAN)) {
      borrower.expect(found[what] === value, `a borrower found something of another's: ${what}`);
    }
    if (random.chance(0.3)) {
      // Others watch this key, and it is written all the time.
      const results = await borrower.step(redis.multi().incr('shared').exec());
      borrower.expect(results !== null, "a borrower's transaction failed for the WATCH of another one");
    }
    if (random.chance(0.5)) await random.pick(SOILING)(redis, borrower);
  }

  /** The pool's own short cuts. */
  async direct(pool, token, random, signal) {
    if (random.chance(0.5)) {
      const work = async (redis, multi) => {
        multi.set('contended', Number(await redis.get('contended')) + 1);
        return token;
      };
      const { value } = await pool.transaction(['contended'], work, { signal });
      return value === undefined || value === token;
    }
    const queue = `queue-${token}`;
    const popped = pool.blocking((redis) => redis.blpop(queue, 0), { signal });
    popped.catch(() => undefined);
    // With the same patience: a borrower that waits without an end for a host that has vanished waits without an end.
    const push = () => pool.blocking((redis) => redis.rpush(queue, token), { signal });
    if (random.chance(0.7)) await push().catch(() => undefined);
    return (await popped)?.[1] === token;
  }

  async touch(redis) {
    await redis.ping();
  }

  async sessions() {
    const list = await this.admin.ask(clients);
    return list?.map(({ addr }) => Number(addr.slice(addr.lastIndexOf(':') + 1)));
  }

  async ids(redis) {
    return (await clients(redis)).map(({ id }) => id);
  }

  end(redis, id) {
    return redis.client('KILL', 'ID', id);
  }
}

async function clients(redis) {
  const list = await redis.client('LIST');
  return list
    .trim()
    .split('\n')
    .map(fieldsOf)
    .filter(({ name }) => name !== 'chaos-admin');
}

function fieldsOf(line) {
  return Object.fromEntries(
    line
      .trim()
      .split(' ')
      .map((field) => field.split(/=(.*)/u)),
  );
}

/** What borrowers do to a connection, and leave so. */
const SOILING = [
  async (redis, borrower) => {
    await borrower.step(redis.multi({ pipeline: false }));
    await borrower.step(redis.set(`mine-${borrower.token}`, 'x', 'EX', 5));
  },
  (redis, borrower) => borrower.step(redis.watch('shared')),
  async (redis, borrower) => {
    await borrower.step(redis.watch('shared'));
    borrower.abandon(redis.multi({ pipeline: false }));
  },
  (redis, borrower) => borrower.step(redis.select(3)),
  (redis, borrower) => borrower.step(redis.call('SELECT', 2)),
  (redis, borrower) => borrower.step(redis.subscribe(`news-${borrower.token}`)),
  (redis, borrower) => borrower.step(redis.psubscribe('news-*')),
  (redis, borrower) => borrower.step(redis.client('SETNAME', borrower.token)),
  (redis, borrower) => borrower.step(redis.client('TRACKING', 'ON')),
  (redis, borrower) => borrower.abandon(redis.blpop('nobody-writes-this', 0)),
  (redis, borrower) => borrower.abandon(redis.blpop('nobody-writes-this', 0.05)),
  (redis, borrower) => borrower.abandon(redis.set('large', 'x'.repeat(500_000), 'EX', 5)),
  (redis, borrower) => borrower.abandon(redis.get('large')),
  (redis) => redis.disconnect(),
];
