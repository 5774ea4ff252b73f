import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { inspect } from 'node:util';
import { type ConnectionPool, ConnectionCreateError } from 'nestjs-pools/core';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { makeCertificate } from '../support/certificate.js';
import { FaultProxy } from '../support/fault-proxy.mjs';
import { eventually } from '../support/http-server.js';
import { smtpPool, type SmtpPoolOptions, type SmtpSession } from './examples/smtp-pool.js';

const PASSWORD = 'planted-password';
const { ca, key, cert } = makeCertificate();

/** A real server that speaks STARTTLS, wants a login, and keeps count. */
class MailServer {
  readonly delivered: string[] = [];
  readonly sessions = new Set<string>();
  readonly sockets = new Set<Socket>();
  logins = 0;
  private constructor(private readonly server: SMTPServer) {}

  static async start(options: SMTPServerOptions = {}): Promise<MailServer> {
    const mail = new MailServer(
      new SMTPServer({
        key,
        cert,
        authMethods: ['PLAIN'],
        disableReverseLookup: true,
        onConnect: (session, done) => {
          mail.sessions.add(session.id);
          done();
        },
        onAuth: ({ username, password }, _session, done) => {
          mail.logins += 1;
          if (username === 'app' && password === PASSWORD) done(null, { user: username });
          else done(new Error('no such user'));
        },
        onRcptTo: ({ address }, _session, done) => {
          if (address.startsWith('nobody')) done(Object.assign(new Error('no such mailbox'), { responseCode: 550 }));
          else done();
        },
        onData: (stream, _session, done) => {
          let text = '';
          stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
          stream.on('end', () => {
            mail.delivered.push(/^Subject: (.*)$/m.exec(text)![1]!);
            done();
          });
        },
        ...options,
      }),
    );
    mail.server.on('error', () => undefined);
    mail.server.server.on('connection', (socket: Socket) => {
      mail.sockets.add(socket);
      socket.once('close', () => mail.sockets.delete(socket));
    });
    mail.server.listen(0, '127.0.0.1');
    await once(mail.server.server, 'listening');
    return mail;
  }

  get port(): number {
    return (this.server.server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(resolve));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }
}

let server: MailServer;
const pools: ConnectionPool<SmtpSession>[] = [];

afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.close()));
  await server.stop();
});

function open(options: Partial<SmtpPoolOptions> = {}): ConnectionPool<SmtpSession> {
  const definition = smtpPool({
    server: { host: '127.0.0.1', port: server.port, requireTLS: true, tls: { ca } },
    auth: { user: 'app', pass: PASSWORD },
    ...options,
  });
  const pool = definition.createPool({ name: 'mail', factory: definition.factory, ...definition.limits });
  pools.push(pool);
  return pool;
}

function mail(subject: string, to = 'somebody@example.com') {
  return { from: 'app@example.com', to, subject, text: 'Hello' };
}

describe('A pool of SMTP sessions', () => {
  it('sends message after message over one encrypted session, logged in once', async () => {
    server = await MailServer.start();
    const pool = open({ maxConnections: 1 });
    for (const subject of ['one', 'two', 'three']) await pool.use((session) => session.sendMail(mail(subject)));
    expect(server.delivered).toEqual(['one', 'two', 'three']);
    expect([server.sessions.size, server.logins]).toEqual([1, 1]);
  });

  it('uses no more sessions than it may, however many send', async () => {
    server = await MailServer.start();
    const pool = open({ maxConnections: 3 });
    await Promise.all(Array.from({ length: 20 }, (_none, i) => pool.use((s) => s.sendMail(mail(String(i))))));
    expect(server.delivered).toHaveLength(20);
    expect(server.sessions.size).toBeLessThanOrEqual(3);
  });

  it('keeps a session whose message was refused, and the next message is not mixed up with it', async () => {
    server = await MailServer.start();
    const pool = open({ maxConnections: 1 });
    const refused = pool.use((session) => session.sendMail(mail('lost', 'nobody@example.com')));
    await expect(refused).rejects.toMatchObject({ responseCode: 550 });
    await pool.use((session) => session.sendMail(mail('found')));
    expect(server.delivered).toEqual(['found']);
    expect(server.sessions.size).toBe(1);
  });

  it('does not lend a session that a borrower has left in the middle of a message', async () => {
    server = await MailServer.start();
    const pool = open({ maxConnections: 1 });
    let left: Promise<unknown> | undefined;
    await pool.use((session) => {
      left = session.sendMail(mail('left')).catch(() => undefined);
    });
    await pool.use((session) => session.sendMail(mail('next')));
    await left;
    expect(server.delivered).toContain('next');
    expect(pool.stats()).toMatchObject({ created: 2, destroyed: { reset: 1 } });
  });

  it('opens another session after as many messages as the server allows', async () => {
    server = await MailServer.start();
    const pool = open({ maxConnections: 1, maxUses: 2 });
    for (const subject of ['1', '2', '3', '4', '5']) await pool.use((session) => session.sendMail(mail(subject)));
    expect(server.sessions.size).toBe(3);
    expect(pool.stats().destroyed.uses).toBe(2);
  });

  it('drops a session that the server has ended for idleness', async () => {
    server = await MailServer.start({ socketTimeout: 500 });
    const pool = open();
    await pool.use((session) => session.sendMail(mail('before')));
    await eventually(() => pool.stats().destroyed.broken === 1, 'it is gone');
    await pool.use((session) => session.sendMail(mail('after')));
    expect(server.delivered).toEqual(['before', 'after']);
  });

  it('fails the message that the server cuts off with 421, and sends the next one over a new session', async () => {
    let isLeaving = true;
    server = await MailServer.start({
      onMailFrom: (_address, _session, done) => {
        if (isLeaving) done(Object.assign(new Error('shutting down'), { responseCode: 421 }));
        else done();
      },
    });
    const pool = open({ maxConnections: 1 });
    const cutOff = pool.use((session) => session.sendMail(mail('lost')));
    await expect(cutOff).rejects.toMatchObject({ responseCode: 421 });
    isLeaving = false;
    await pool.use((session) => session.sendMail(mail('sent')));
    expect(server.delivered).toEqual(['sent']);
    expect(pool.stats().destroyed.broken).toBe(1);
  });

  it('fails the message under way when the connection breaks, at once', async () => {
    server = await MailServer.start({ onData: (stream) => void stream.resume() });
    const pool = open({ maxConnections: 1 });
    const cutOff = pool.use((session) => session.sendMail(mail('lost')));
    await eventually(() => server.sockets.size === 1 && server.logins === 1, 'it is connected');
    for (const socket of server.sockets) socket.destroy();
    await expect(cutOff).rejects.toMatchObject({ code: expect.stringMatching(/ECONN|ESOCKET/) });
  });

  it('finds out at lease that an idle session does not answer any more', async () => {
    server = await MailServer.start();
    const network = await FaultProxy.start({ host: '127.0.0.1', port: server.port });
    const place = { host: network.host, port: network.port, requireTLS: true, tls: { ca } };
    const pool = open({ server: place, maxConnections: 1, validateAfterIdleMs: 0, healthCheckTimeoutMs: 200 });
    await pool.use((session) => session.sendMail(mail('before')));
    network.mode = 'half-open';
    network.mode = 'ok';
    await pool.use((session) => session.sendMail(mail('after')));
    expect(server.delivered).toEqual(['before', 'after']);
    expect(pool.stats().destroyed.unhealthy).toBe(1);
    await pool.close();
    await network.stop();
  });

  it('does not go on trying a password that is wrong', async () => {
    server = await MailServer.start();
    const pool = open({ auth: { user: 'app', pass: 'wrong' } });
    await expect(pool.use((session) => session.sendMail(mail('x')))).rejects.toThrow(ConnectionCreateError);
    expect(server.logins).toBe(1);
  });

  it('shows no password', async () => {
    server = await MailServer.start();
    const pool = open({ maxConnections: 1 });
    const definition = smtpPool({ server: { host: '127.0.0.1' }, auth: { user: 'app', pass: PASSWORD } });
    await pool.use((session) => {
      const shown = [session, definition, pool.stats()].map(
        (value) => inspect(value, { depth: 9 }) + JSON.stringify(value),
      );
      expect(shown.join()).not.toContain(PASSWORD);
    });
    expect(definition.describe()).toBe('smtp://127.0.0.1:587');
  });
});
