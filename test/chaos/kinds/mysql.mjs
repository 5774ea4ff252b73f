import { createConnection } from 'mysql2/promise';
import { mysqlPool } from 'nestjs-pools/mysql';
import { startMysql } from '../../support/private-servers/index.mjs';
import { DirtyConnection } from '../borrower.mjs';
import { Admin } from './admin.mjs';
import { ServerUpstream } from './server-upstream.mjs';

const USER = 'chaos';

export async function start() {
  const server = await startMysql();
  const admin = new Admin(
    () => createConnection(server.url),
    (connection) => connection.destroy(),
  );
  await admin.ask(async (connection) => {
    await connection.query(`create user ${USER}@'127.0.0.1' identified by 'chaos-password'`);
    await connection.query(`grant all on test.* to ${USER}@'127.0.0.1'`);
    await connection.query('create table written (token text)');
  });
  return new MysqlUpstream(server, admin);
}

/** All that a borrower may find of another one. */
const LOOK = `
  select ? as token, @worker as worker, @@in_transaction as inTransaction, database() as db,
    @@session.sql_mode like '%ANSI%' as isAnsi, is_used_lock(concat('mine', connection_id())) as lockedBy`;

const CLEAN = { worker: null, inTransaction: 0, db: 'test', isAnsi: 0, lockedBy: null };

const OURS = `user <> 'root' and command <> 'Daemon' and user <> 'system user'`;

class MysqlUpstream extends ServerUpstream {
  /** The one by which aborted queries are ended on the server, however many they are. */
  sessionsBesides = 1;

  definition(place, limits) {
    return mysqlPool({ ...place, user: USER, password: 'chaos-password', database: 'test', ...limits });
  }

  async borrow(borrower) {
    const { connection, random, token } = borrower;
    const ask = random.chance(0.5) ? 'query' : 'execute';
    const [rows] = await borrower.step(connection[ask](LOOK, [token]));
    const { token: answered, ...found } = rows[0];
    borrower.expect(answered === token, "a borrower got another's answer");
    for (const [what, value] of Object.entries(found)) {
      borrower.expect(
        Number(value) === Number(CLEAN[what]) || value === CLEAN[what],
        `a borrower found something of another's: ${what}`,
      );
    }
    if (random.chance(0.5)) await this.#soil(random.pick(SOILING), borrower);
  }

  async #soil(statements, borrower) {
    const { connection, random, token } = borrower;
    for (const statement of statements) {
      const { text, fails, last } = typeof statement === 'string' ? { text: statement } : statement;
      if (text === undefined) return borrower.abandon(connection.end());
      const query = connection.query(text, [token]);
      if (last && random.chance(0.5)) return borrower.abandon(query);
      await borrower.step(fails ? query.catch(rethrowUnlessSyntax) : query.catch(tellLeftTable));
    }
  }

  /** The pool's own short cuts. */
  async direct(pool, token, random, signal) {
    if (random.chance(0.5)) {
      const [rows] = await pool.query('select ? as token, sleep(0.01)', [token], { signal });
      return rows[0].token === token;
    }
    const isWrong = random.chance(0.2);
    const work = async (connection) => {
      await connection.query('insert into written values (?)', [token]);
      if (isWrong) await connection.query('this is not SQL');
      return connection.query('select ? as token', [token]);
    };
    const result = await pool.transaction(work, { signal }).catch(rethrowUnlessSyntax);
    return isWrong ? result === undefined : result[0][0].token === token;
  }

  async touch(connection) {
    await connection.query('select 1');
  }

  async sessions() {
    const rows = await this.admin.ask((connection) => processes(connection));
    return rows?.map(({ host }) => Number(host.slice(host.lastIndexOf(':') + 1)));
  }

  async ids(connection) {
    return (await processes(connection)).map(({ id }) => id);
  }

  end(connection, id) {
    return connection.query(`kill ${id}`).catch((error) => error);
  }
}

async function processes(connection) {
  return (await connection.query(`select id, host from information_schema.processlist where ${OURS}`))[0];
}

/** What borrowers do to a session. Of a last statement half do not await the end. */
const SOILING = [
  ['set @worker = ?'],
  ['begin', { text: 'insert into written values (?)', last: true }],
  ['begin', { text: 'insert into written values (?)' }, 'commit'],
  ['begin', { text: 'this is not SQL', fails: true }],
  ['set autocommit = 0', { text: 'insert into written values (?)', last: true }],
  // It fails where another one has left his.
  ['create temporary table mine (id int)'],
  ["set session sql_mode = 'ANSI'"],
  ["select get_lock(concat('mine', connection_id()), 1)"],
  ['use information_schema'],
  [{ text: 'select sleep(0.05)', last: true }],
  [{ text: 'begin', last: true }],
  [{ text: "select repeat('x', 400000), ?", last: true }],
  [{}],
];

function rethrowUnlessSyntax(error) {
  if (error.code !== 'ER_PARSE_ERROR') throw error;
}

function tellLeftTable(error) {
  if (error.code === 'ER_TABLE_EXISTS_ERROR') throw new DirtyConnection("a borrower found another's temporary table");
  throw error;
}
