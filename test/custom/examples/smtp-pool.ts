import { inspect } from 'node:util';
import type { SendMailOptions } from 'nodemailer';
import MailComposer from 'nodemailer/lib/mail-composer';
import SMTPConnection from 'nodemailer/lib/smtp-connection';
import { type CreateContext, customPool, type PoolDefinition, type PoolLimits } from 'nestjs-pools/core';

export interface SmtpPoolOptions extends PoolLimits {
  /** With `requireTLS: true`: whoever logs in without TLS shows his password to the network. */
  readonly server: SMTPConnection.Options;
  readonly auth?: { readonly user: string; readonly pass: string };
}

/** SMTP sessions, each logged in once. `maxUses` is the place for a server's limit of messages: one lease, one message. */
export function smtpPool({ server, auth, ...limits }: SmtpPoolOptions): PoolDefinition<SmtpSession> {
  return customPool({
    factory: {
      create: (context) => SmtpSession.open(server, auth, context),
      // A refused login stays refused, and many of them lock the account.
      retryable: (error) => (error as { code?: unknown }).code !== 'EAUTH',
      looksAlive: (session) => !session.isOver,
      isHealthy: (session) => session.reset().then(() => true),
      reset: (session) => (session.isClean ? undefined : session.reset()),
      destroy: (session, { signal }) => session.end(signal),
    },
    description: `smtp://${server.host ?? 'localhost'}:${server.port ?? 587}`,
    minConnections: 0,
    maxUses: 100,
    ...limits,
  });
}

/** What is lent. */
export class SmtpSession {
  /** No message is half sent. */
  isClean = true;
  isOver = false;
  readonly #connection: SMTPConnection;
  readonly #over: Promise<never>;
  #unanswered = 0;

  private constructor(connection: SMTPConnection, broken: (error: unknown) => void) {
    this.#connection = connection;
    this.#over = new Promise((_resolve, reject) => {
      const end = (error: unknown): void => {
        this.isOver = true;
        broken(error);
        // Whoever waits for an answer may be told something more telling within this turn.
        queueMicrotask(() => reject(error as Error));
      };
      connection.on('error', end);
      // After the server's idle timeout, after a 421, after our own QUIT.
      connection.once('end', () => end(Object.assign(new Error('the session has ended'), { code: 'ECONNECTION' })));
    });
    this.#over.catch(() => undefined);
  }

  static async open(
    server: SMTPConnection.Options,
    auth: SmtpPoolOptions['auth'],
    { signal, broken }: CreateContext,
  ): Promise<SmtpSession> {
    const connection = new SMTPConnection({ socketCloseTimeout: 1_000, ...server });
    const session = new SmtpSession(connection, broken);
    const giveUp = (): void => connection.close();
    signal.addEventListener('abort', giveUp, { once: true });
    try {
      await session.#call((done) => connection.connect((error) => done(error ?? null)));
      // A copy: nodemailer writes into what it is given.
      if (auth !== undefined) await session.#call((done) => connection.login({ ...auth }, done));
      return session;
    } catch (error) {
      giveUp();
      throw error;
    } finally {
      signal.removeEventListener('abort', giveUp);
    }
  }

  /** Sends one message. One that the server refuses leaves the session as good as it was. */
  async sendMail(mail: SendMailOptions): Promise<SMTPConnection.SentMessageInfo> {
    const message = new MailComposer(mail).compile();
    this.isClean = false;
    const info = await this.#call<SMTPConnection.SentMessageInfo>((done) =>
      this.#connection.send(message.getEnvelope(), message.createReadStream(), done),
    );
    this.isClean = true;
    return info;
  }

  /** RSET: the server forgets a message that is half sent, and shows that it is there. */
  async reset(): Promise<void> {
    await this.#call((done) => this.#connection.reset(done));
    this.isClean = true;
  }

  /** By QUIT. A server that owes an answer would not hear it. */
  async end(signal: AbortSignal): Promise<void> {
    if (this.#unanswered > 0) return this.#connection.close();
    signal.addEventListener('abort', () => this.#connection.close(), { once: true });
    if (!this.isOver) this.#connection.quit();
    await this.#over.catch(() => undefined);
  }

  [inspect.custom](): string {
    return 'SmtpSession';
  }

  /** One at a time: nodemailer would write the next command into a message. Nor does it call back once the connection has ended. */
  async #call<R>(start: (done: (error: Error | null, result?: R) => void) => void): Promise<R> {
    if (this.#unanswered > 0) throw new Error('the session is at work already');
    this.#unanswered += 1;
    const answer = new Promise<R>((resolve, reject) => {
      start((error, result) => {
        this.#unanswered -= 1;
        if (error === null) resolve(result as R);
        else reject(error);
      });
    });
    return Promise.race([answer, this.#over]);
  }
}
