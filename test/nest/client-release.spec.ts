import { once } from 'node:events';
import { Agent, request as httpRequest } from 'node:http';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { connect, type Socket } from 'node:net';
import { Server as TlsServer } from 'node:tls';
import { Controller, Get, type INestApplication, Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { InjectPool, PoolModule, PoolRegistry } from 'nestjs-pools';
import { makeCertificate } from '../support/certificate.js';
import { eventually } from '../support/http-server.js';
import { gatedPool, type GatedPool } from '../support/nest-app.js';
import { PLATFORMS } from '../support/platforms.js';

let arrived: () => void;
let goOn: Promise<void>;

@Controller()
class Routes {
  constructor(@InjectPool('documents') private readonly pool: GatedPool) {}

  @Get()
  at(): string {
    return 'once';
  }

  @Get('slow')
  async slow(): Promise<string> {
    arrived();
    await goOn;
    return this.pool.use(({ id }) => `leased ${typeof id}`);
  }
}

const agents: Agent[] = [];
afterEach(() => agents.splice(0).forEach((agent) => agent.destroy()));

interface Answer {
  readonly text: string;
  readonly connection: string | undefined;
}

/** Asks over a connection that the client would keep. */
async function keepAsking(app: INestApplication, path: string): Promise<Answer> {
  const isSecure = app.getHttpServer() instanceof TlsServer;
  const agent = isSecure
    ? new HttpsAgent({ keepAlive: true, rejectUnauthorized: false })
    : new Agent({ keepAlive: true });
  agents.push(agent);
  const request = (isSecure ? httpsRequest : httpRequest)({ host: '127.0.0.1', port: portOf(app), path, agent });
  request.end();
  const [response] = await once(request, 'response');
  let text = '';
  for await (const chunk of response) text += String(chunk);
  return { text, connection: response.headers.connection };
}

interface InFlight<A> {
  readonly answer: Promise<A>;
  readonly finish: () => void;
}

/** A request whose handler has been called, and waits. */
async function inFlight<A>(ask: () => Promise<A>): Promise<InFlight<A>> {
  let finish!: () => void;
  goOn = new Promise<void>((resolve) => (finish = resolve));
  const hasArrived = new Promise<void>((resolve) => (arrived = resolve));
  const answer = ask();
  await hasArrived;
  return { answer, finish };
}

/** Closes an application, and lets a request in flight go on only after that has begun. */
async function closeAround<A>(app: INestApplication, { answer, finish }: InFlight<A>): Promise<A> {
  const closing = app.close();
  await eventually(() => app.get(PoolRegistry).isShuttingDown, 'it shuts down');
  finish();
  const answered = await answer;
  await closing;
  return answered;
}

function portOf(app: INestApplication): number {
  return (app.getHttpServer().address() as { port: number }).port;
}

/** A connection on which nothing is said, as browsers open some ahead; one that ends with the server's. */
async function connectInSilence(app: INestApplication): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port: portOf(app) }).on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

/** Holds the shutdown at the step before the server closes, as Terminus does on demand. */
class HeldShutdown {
  goOn!: () => void;
  private readonly mayGoOn = new Promise<void>((resolve) => (this.goOn = resolve));

  beforeApplicationShutdown(): Promise<void> {
    return this.mayGoOn;
  }
}

async function start(
  create: (typeof PLATFORMS)[number][1],
  releaseClients?: boolean,
  providers: Type[] = [],
): Promise<INestApplication> {
  const extras = releaseClients === undefined ? {} : { releaseClients };
  const imports = [PoolModule.forRoot({ pools: { documents: gatedPool() }, ...extras })];
  @Module({ imports, providers, controllers: [Routes] })
  class AppModule {}
  const app = await create(AppModule);
  await app.listen(0, '127.0.0.1');
  // A minute: whoever waits for it does not finish within a test's time.
  app.getHttpServer().keepAliveTimeout = 60_000;
  return app;
}

describe.each(PLATFORMS)('the clients of a server that shuts down, on %s', (_name, create) => {
  it('do not hold it by connections on which nothing is asked', async () => {
    const app = await start(create);
    expect(await keepAsking(app, '/')).toEqual({ text: 'once', connection: 'keep-alive' });
    await app.close();
    expect(app.getHttpServer().listening).toBe(false);
  });

  it('have their requests in flight answered, and are told with the answer that their connection ends', async () => {
    const app = await start(create);
    const asking = await inFlight(() => keepAsking(app, '/slow'));
    expect(await closeAround(app, asking)).toEqual({ text: 'leased number', connection: 'close' });
  });

  it('do not hold it by connections on which nothing was ever asked', async () => {
    const app = await start(create);
    const silent = await connectInSilence(app);
    const gone = once(silent, 'close');
    await app.close();
    await gone;
  });

  it('are let go once, also where an application is closed twice at once', async () => {
    const app = await start(create);
    await keepAsking(app, '/');
    await Promise.all([app.close(), app.close()]);
    expect(app.getHttpServer().listening).toBe(false);
  });

  it('are told to leave by the answers to what they ask meanwhile', async () => {
    const app = await start(create, undefined, [HeldShutdown]);
    const closing = app.close();
    await eventually(() => app.get(PoolRegistry).isShuttingDown, 'it shuts down');
    expect(await keepAsking(app, '/')).toEqual({ text: 'once', connection: 'close' });
    app.get(HeldShutdown).goOn();
    await closing;
  });

  it('leave no listener on the server behind', async () => {
    const app = await start(create);
    const server = app.getHttpServer();
    const before = server.listenerCount('request');
    await app.close();
    expect(server.listenerCount('request')).toBe(before - 1);
  });

  it('are left alone where the module says so', async () => {
    const app = await start(create, false);
    const { connection } = await keepAsking(app, '/');
    expect([connection, app.getHttpServer().listenerCount('request')]).toEqual(['keep-alive', 1]);
    agents.splice(0).forEach((agent) => agent.destroy());
    await app.close();
  });
});

describe('the clients of a server that speaks TLS', () => {
  const platforms: [string, (https: object) => Promise<INestApplication>][] = [
    ['Express', (https) => start((module) => PLATFORMS[0]![1](module, { httpsOptions: https }))],
    [
      'Fastify',
      (https) => start((module) => NestFactory.create(module, new FastifyAdapter({ https }), { logger: false })),
    ],
  ];

  it.each(platforms)('are answered, told to leave, and do not hold it, on %s', async (_name, startSecure) => {
    const { key, cert } = makeCertificate();
    const app = await startSecure({ key, cert });
    const silent = await connectInSilence(app);
    const gone = once(silent, 'close');
    expect(await keepAsking(app, '/')).toEqual({ text: 'once', connection: 'keep-alive' });
    const asking = await inFlight(() => keepAsking(app, '/slow'));
    expect(await closeAround(app, asking)).toEqual({ text: 'leased number', connection: 'close' });
    await gone;
  });
});

describe('the clients of a server that speaks HTTP/2', () => {
  const ask = async (session: ClientHttp2Session, path: string): Promise<string> => {
    const request = session.request({ ':path': path }).setEncoding('utf8');
    let text = '';
    for await (const chunk of request) text += String(chunk);
    return text;
  };

  it.each([true, false])(
    'are answered, and do not hold it by idle sessions (HTTP/1 allowed: %s)',
    async (allowHTTP1) => {
      const { key, cert } = makeCertificate();
      const adapter = new FastifyAdapter({ http2: true, https: { key, cert, allowHTTP1 } });
      const create = (module: Type): Promise<INestApplication> =>
        NestFactory.create(module, adapter, { logger: false });
      const app = await start(create, undefined, [HeldShutdown]);
      const open = (): ClientHttp2Session =>
        connectHttp2(`https://127.0.0.1:${portOf(app)}`, { rejectUnauthorized: false }).on('error', () => undefined);
      const sessions = [open(), open()] as const;
      expect(await Promise.all(sessions.map((session) => ask(session, '/')))).toEqual(['once', 'once']);
      const { answer, finish } = await inFlight(() => ask(sessions[0], '/slow'));
      const left = sessions.map((session) => once(session, 'close'));
      const closing = app.close();
      await eventually(() => app.get(PoolRegistry).isShuttingDown, 'it shuts down');
      // One that comes meanwhile is served too.
      const late = open();
      expect(await ask(late, '/')).toBe('once');
      const gone = Promise.all([...left, once(late, 'close')]);
      app.get(HeldShutdown).goOn();
      finish();
      expect(await answer).toBe('leased number');
      await Promise.all([closing, gone]);
    },
  );
});
