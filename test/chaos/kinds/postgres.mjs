import { postgresPool } from 'nestjs-pools/postgres';
import pg from 'pg';
import { startPostgres } from '../../support/private-servers/index.mjs';
import { Admin } from './admin.mjs';
import { ServerUpstream } from './server-upstream.mjs';

export async function start() {
  const server = await startPostgres();
  const admin = new Admin(
    () => login(server),
    (client) => client.end(),
  );
  await admin.ask((client) => client.query('create table written (token text)'));
  return new PostgresUpstream(server, admin);
}

async function login({ url }) {
  const client = new pg.Client({ connectionString: url, application_name: 'chaos-admin' });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

const OURS = `backend_type = 'client backend' and application_name <> 'chaos-admin'`;

/** What a borrower may find of another one, as far as it costs little to look; and all the rest, which only some look for. */
const GLANCE = {
  name: 'glance',
  text: `
    select $1::text as token,
      pg_current_xact_id_if_assigned() is null as "nothingWritten",
      coalesce(current_setting('app.worker', true), '') as worker,
      current_setting('statement_timeout') as timeout,
      to_regclass('pg_temp.mine') is null as "noTemporaryTable"`,
};
const LOOK = {
  name: 'look',
  text: `
    select $1::text as token,
      (select count(*)::int from pg_listening_channels()) as channels,
      (select count(*)::int from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()) as locks,
      (select count(*)::int from pg_prepared_statements where name not in ('look', 'glance')) as statements`,
};

const CLEAN = {
  nothingWritten: true,
  worker: '',
  timeout: '0',
  noTemporaryTable: true,
  channels: 0,
  locks: 0,
  statements: 0,
};

class PostgresUpstream extends ServerUpstream {
  definition(place, limits) {
    const { user, password, database } = this.server;
    const login = { ...place, user, password, database, application_name: 'chaos' };
    return postgresPool({ ...login, ...limits, resetQuery: 'discard-all' });
  }

  async borrow(borrower) {
    const { connection: client, random, token } = borrower;
    const look = random.chance(0.2) ? LOOK : GLANCE;
    const { rows } = await borrower.step(client.query({ ...look, values: [token] }));
    const { token: answered, ...found } = rows[0];
    borrower.expect(answered === token, "a borrower got another's answer");
    // By the server's own word, at the end of that query.
    borrower.expect(client.getTransactionStatus() === 'I', "a borrower found another's transaction");
    for (const [what, value] of Object.entries(found)) {
      borrower.expect(value === CLEAN[what], `a borrower found something of another's: ${what}`);
    }
    if (random.chance(0.5)) await this.#soil(random.pick(SOILING), borrower);
  }

  async #soil(statements, borrower) {
    const { connection: client, random, token } = borrower;
    for (const statement of statements) {
      const { text, fails, last } = typeof statement === 'string' ? { text: statement } : statement;
      if (text === undefined) return borrower.abandon(client.end());
      const query = client.query(text, text.includes('$1') ? [token] : undefined);
      if (last && random.chance(0.5)) return borrower.abandon(query);
      await borrower.step(fails ? query.catch(rethrowUnlessSyntax) : query);
    }
  }

  /** The pool's own short cuts. */
  async direct(pool, token, random, signal) {
    if (random.chance(0.5)) {
      const { rows } = await pool.query('select $1::text as token, pg_sleep(0.01)', [token], { signal });
      return rows[0].token === token;
    }
    const isWrong = random.chance(0.2);
    const work = async (client) => {
      await client.query('insert into written values ($1)', [token]);
      if (isWrong) await client.query('this is not SQL');
      return client.query('select $1::text as token', [token]);
    };
    const result = await pool.transaction(work, { signal }).catch(rethrowUnlessSyntax);
    return isWrong ? result === undefined : result.rows[0].token === token;
  }

  async touch(client) {
    await client.query('select 1');
  }

  async sessions() {
    const result = await this.admin.ask((client) =>
      client.query(`select client_port from pg_stat_activity where ${OURS}`),
    );
    return result?.rows.map((row) => row.client_port);
  }

  async ids(client) {
    return (await client.query(`select pid from pg_stat_activity where ${OURS}`)).rows.map(({ pid }) => pid);
  }

  end(client, pid) {
    return client.query('select pg_terminate_backend($1)', [pid]);
  }
}

/** What borrowers do to a session. Of a last statement half do not await the end. */
const SOILING = [
  ["select set_config('app.worker', $1, false)"],
  ['begin', { text: 'insert into written values ($1)', last: true }],
  ['begin', { text: 'insert into written values ($1)' }, 'commit'],
  ['begin', { text: 'this is not SQL', fails: true }],
  ['begin isolation level serializable read only', { text: 'select count(*) from written', last: true }],
  ['create temp table mine (id int)'],
  ['listen news', 'set statement_timeout = 400'],
  ['select pg_advisory_lock_shared(1)'],
  ['prepare mine as select 1'],
  [{ text: 'select pg_sleep(0.05)', last: true }],
  [{ text: 'begin', last: true }],
  [{ text: 'select repeat($1, 2000) from generate_series(1, 20)', last: true }],
  [{}],
];

function rethrowUnlessSyntax(error) {
  if (error.code !== '42601') throw error;
}
