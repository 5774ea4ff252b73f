import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { answersMysql } from './answers.mjs';
import { commandAt } from './command-at.mjs';
import { NotInstalledError } from './not-installed.mjs';
import { freePort, PrivateServer } from './private-server.mjs';
import { copyFolder, makeFolder, template } from './server-folder.mjs';
import { writeTls } from './tls-files.mjs';

const USER = 'root';
const DATABASE = 'test';

/** It may run as root when told to in so many words. */
const asWhom = () => (process.getuid?.() === 0 ? ['--user=root'] : []);

/**
 * A MariaDB server of its own. `config` lines are options as its option files hold them: `max_connections=20`.
 *
 * @throws NotInstalledError
 */
export async function startMysql({ config = [], password = 'mysql-password', tls } = {}) {
  const [server, install] = [commandAt('mariadbd'), commandAt('mariadb-install-db')];
  if (server === undefined || install === undefined) {
    throw new NotInstalledError('MariaDB', 'apt-get install mariadb-server');
  }
  const fresh = await template('mariadb-data', undefined, (to) => makeData(install, to));
  const folder = await makeFolder();
  copyFolder(join(fresh, 'data'), join(folder, 'data'));
  const port = await freePort();
  const optionFile = join(folder, 'my.cnf');
  const initFile = join(folder, 'init.sql');
  const socketPath = join(folder, 'mysql.sock');
  await writeFile(
    optionFile,
    [
      '[mariadbd]',
      `datadir=${join(folder, 'data')}`,
      `port=${port}`,
      'bind-address=127.0.0.1',
      `socket=${socketPath}`,
      `pid-file=${join(folder, 'mysql.pid')}`,
      `init-file=${initFile}`,
      'skip-name-resolve',
      'connect_timeout=2', // its end waits for clients that are not logged in yet
      'innodb_flush_log_at_trx_commit=0',
      'innodb_buffer_pool_size=16M',
      'innodb_log_file_size=8M',
      ...(await tlsLines(folder, tls)),
      ...config,
      '',
    ].join('\n'),
  );
  // Read at every start, before the first client is let in.
  await writeFile(
    initFile,
    [
      `create database if not exists ${DATABASE};`,
      `create or replace user '${USER}'@'127.0.0.1' identified by '${password}';`,
      `grant all on *.* to '${USER}'@'127.0.0.1' with grant option;`,
      `create or replace user '${USER}'@'localhost' identified by '${password}';`,
      `grant all on *.* to '${USER}'@'localhost' with grant option;`,
      '',
    ].join('\n'),
  );
  const login = password === '' ? USER : `${USER}:${encodeURIComponent(password)}`;
  return PrivateServer.start({
    facts: {
      port,
      user: USER,
      password,
      database: DATABASE,
      url: `mysql://${login}@127.0.0.1:${port}/${DATABASE}`,
      socketPath,
    },
    folder,
    command: server,
    args: [`--defaults-file=${optionFile}`, ...asWhom()],
    stopSignal: 'SIGTERM',
    answers: answersMysql,
  });
}

async function makeData(install, folder) {
  await promisify(execFile)(install, [
    '--no-defaults',
    `--datadir=${join(folder, 'data')}`,
    '--auth-root-authentication-method=normal',
    '--skip-test-db',
    '--innodb-log-file-size=8M',
    ...asWhom(),
  ]);
  if (!existsSync(join(folder, 'data/mysql'))) throw new Error('mariadb-install-db made no data folder');
}

async function tlsLines(folder, tls) {
  if (tls === undefined) return [];
  const { cert, key, ca } = await writeTls(folder, tls);
  return [`ssl_cert=${cert}`, `ssl_key=${key}`, ...(ca === undefined ? [] : [`ssl_ca=${ca}`])];
}
