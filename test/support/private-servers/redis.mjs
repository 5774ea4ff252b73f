import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { answersRedis } from './answers.mjs';
import { commandAt } from './command-at.mjs';
import { NotInstalledError } from './not-installed.mjs';
import { freePort, PrivateServer } from './private-server.mjs';
import { makeFolder } from './server-folder.mjs';
import { writeTls } from './tls-files.mjs';

/**
 * A Redis server of its own, with nothing on disk. `config` lines are those of redis.conf: `maxclients 20`. With `tls` its port
 * speaks nothing else.
 *
 * @throws NotInstalledError
 */
export async function startRedis({ config = [], password = 'redis-password', tls } = {}) {
  const server = commandAt('redis-server');
  if (server === undefined) throw new NotInstalledError('Redis', 'apt-get install redis-server');
  const folder = await makeFolder();
  const port = await freePort();
  const socketPath = join(folder, 'redis.sock');
  const configFile = join(folder, 'redis.conf');
  await writeFile(
    configFile,
    [
      'bind 127.0.0.1',
      ...(tls === undefined ? [`port ${port}`] : await tlsLines(folder, tls, port)),
      `unixsocket ${socketPath}`,
      `dir ${folder}`,
      'save ""',
      'appendonly no',
      ...(password === '' ? [] : [`requirepass ${password}`]),
      ...config,
      '',
    ].join('\n'),
  );
  const login = password === '' ? '' : `:${encodeURIComponent(password)}@`;
  return PrivateServer.start({
    facts: {
      port,
      user: 'default',
      password,
      database: '0',
      url: `${tls === undefined ? 'redis' : 'rediss'}://${login}127.0.0.1:${port}/0`,
      socketPath,
    },
    folder,
    command: server,
    args: [configFile],
    stopSignal: 'SIGTERM',
    answers: answersRedis,
  });
}

async function tlsLines(folder, tls, port) {
  const { cert, key, ca } = await writeTls(folder, tls);
  return [
    'port 0',
    `tls-port ${port}`,
    `tls-cert-file ${cert}`,
    `tls-key-file ${key}`,
    `tls-ca-cert-file ${ca ?? cert}`,
    `tls-auth-clients ${ca === undefined ? 'no' : 'optional'}`,
  ];
}
