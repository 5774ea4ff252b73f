import { existsSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { Redis } from 'ioredis';
import { createConnection } from 'mysql2/promise';
import pg from 'pg';
import { makeCertificate } from './certificate.js';
import { eventually } from './http-server.js';
import { answersMysql, answersPostgres, answersRedis } from './private-servers/index.mjs';
import {
  describeWith,
  findMysql,
  findPostgres,
  findRedis,
  ownMysql,
  ownPostgres,
  ownRedis,
  type PrivateServer,
} from './services.js';

const found = [
  ['PostgreSQL', await findPostgres(), answersPostgres],
  ['MySQL', await findMysql(), answersMysql],
  ['Redis', await findRedis(), answersRedis],
] as const;

const own = [
  ['PostgreSQL', await ownPostgres(), answersPostgres],
  ['MySQL', await ownMysql(), answersMysql],
  ['Redis', await ownRedis(), answersRedis],
] as const;

for (const [name, server, answers] of found) {
  describeWith(server, `The ${name} that the tests share`, (server) => {
    it('takes the login that is given', async () => {
      expect(await answers(server)).toBe(true);
    });

    it('says all of it in its url too', () => {
      const { hostname, port, pathname, password } = new URL(server.url);
      expect([hostname, Number(port), pathname.slice(1)]).toEqual([server.host, server.port, server.database]);
      expect(decodeURIComponent(password)).toBe(server.password);
    });
  });
}

for (const [name, server, answers] of own) {
  describeWith(server, `A ${name} of a test's own`, (server: PrivateServer) => {
    it('takes the login that is given, and no wrong password where it asks for one', async () => {
      expect(await answers(server)).toBe(true);
      if (name !== 'PostgreSQL') expect(await answers({ ...server, password: 'wrong' })).toBe(false);
    });

    it('is gone from its port when stopped, and back on it when started', async () => {
      const client = await clientOf(server);
      await server.stop();
      await eventually(() => client.closed, 'the client is disconnected');
      expect(await answers(server)).toBe(false);
      await server.start();
      expect(await answers(server)).toBe(true);
    });

    it('drops its clients at once when killed, and comes back', async () => {
      const client = await clientOf(server);
      const { pid } = server;
      await server.kill();
      await eventually(() => client.closed, 'the client is disconnected');
      await server.start();
      expect(server.pid).not.toBe(pid);
      expect(await answers(server)).toBe(true);
    });

    it('keeps what it writes for whoever has to find out why', async () => {
      expect(await server.log()).toMatch(/ready/i);
    });
  });
}

describeWith(
  await ownPostgres({ hba: ['host all all all scram-sha-256'] }),
  'A PostgreSQL with a rule of access',
  (server) => {
    it('asks for the password', async () => {
      expect(await answersPostgres(server)).toBe(true);
      expect(await answersPostgres({ ...server, password: 'wrong' })).toBe(false);
    });

    it('keeps its data over a restart, and removes them in the end', async () => {
      await query(server, 'create table kept (id int)');
      await server.restart();
      await query(server, 'select * from kept');
      await server.remove();
      expect(existsSync(server.folder)).toBe(false);
    });
  },
);

const tls = makeCertificate();

describeWith(await ownPostgres({ tls }), 'A PostgreSQL with a certificate', ({ url }) => {
  it('speaks TLS', async () => {
    const client = new pg.Client({ connectionString: url, ssl: { ca: tls.ca } });
    await client.connect();
    const { rows } = await client.query('select ssl from pg_stat_ssl where pid = pg_backend_pid()');
    expect(rows).toEqual([{ ssl: true }]);
    await client.end();
  });
});

describeWith(await ownMysql({ tls }), 'A MySQL with a certificate', ({ url }) => {
  it('speaks TLS', async () => {
    const connection = await createConnection({ uri: url, ssl: { ca: tls.ca } });
    const [rows] = await connection.query("show status like 'Ssl_version'");
    expect(rows).toEqual([{ Variable_name: 'Ssl_version', Value: expect.stringMatching(/^TLS/) }]);
    await connection.end();
  });
});

describeWith(await ownRedis({ tls }), 'A Redis with a certificate', ({ url }) => {
  it('speaks TLS', async () => {
    const redis = new Redis(url, { tls: { ca: tls.ca } });
    expect(await redis.ping()).toBe('PONG');
    redis.disconnect();
  });
});

async function query(server: PrivateServer, text: string): Promise<void> {
  const client = new pg.Client({ connectionString: server.url });
  await client.connect();
  await client.query(text);
  await client.end();
}

async function clientOf(server: PrivateServer): Promise<Socket> {
  const socket = connect(server.port, server.host)
    .on('error', () => undefined)
    .resume();
  await once(socket, 'connect');
  return socket;
}
