import { Controller, type INestApplication, type INestMicroservice, Module, UseFilters } from '@nestjs/common';
import { APP_FILTER, NestFactory } from '@nestjs/core';
import {
  ClientProxyFactory,
  MessagePattern,
  type MicroserviceOptions,
  Payload,
  Transport,
} from '@nestjs/microservices';
import { WsAdapter } from '@nestjs/platform-ws';
import { ConnectedSocket, MessageBody, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { lastValueFrom, Observable, of, toArray } from 'rxjs';
import { WebSocket } from 'ws';
import {
  getPoolToken,
  InjectPool,
  Leased,
  LeasePerRequest,
  PoolExceptionFilter,
  PoolModule,
  UsePool,
} from 'nestjs-pools';
import type { GatedConnection } from 'nestjs-pools/testing';
import { eventually } from '../support/http-server.js';
import { gatedPool, type GatedPool } from '../support/nest-app.js';

const BUSY = {
  status: 'error',
  code: 14,
  message: 'The service is busy or one of its upstreams is; please try again shortly.',
  retryAfter: 1,
};

const pools = () => ({ documents: gatedPool({ maxConnections: 1, minConnections: 0 }) });
const filter = { provide: APP_FILTER, useClass: PoolExceptionFilter };

@Controller()
class Messages {
  constructor(@InjectPool('documents') private readonly pool: GatedPool) {}

  @MessagePattern('use')
  @UsePool('documents', { acquireTimeoutMs: 0 })
  async use(@Payload() text: string, @Leased() connection?: GatedConnection): Promise<string> {
    return `${text} by ${typeof connection!.id}`;
  }

  @UsePool('documents')
  @MessagePattern('values')
  values(@Payload() _text: string, @Leased() connection?: GatedConnection): Observable<string> {
    return of('a', typeof connection!.id);
  }

  @LeasePerRequest('documents')
  @MessagePattern('request')
  async request(@Payload() text: string, @Leased() connection?: GatedConnection): Promise<string> {
    return `${text} ${typeof connection!.id} ${this.pool.stats().activeConnections}`;
  }

  // Without a mark on the message, Nest passes it first.
  @MessagePattern('unmarked')
  @UsePool('documents')
  async unmarked(@Leased() connection?: GatedConnection): Promise<string> {
    return typeof connection!.id;
  }

  @MessagePattern('mistake')
  async mistake(@Payload() _text: string): Promise<number> {
    const lease = await this.pool.acquire();
    lease.release();
    return lease.connection.id;
  }
}

describe('a microservice', () => {
  let app: INestMicroservice;
  let pool: GatedPool;
  let client: ReturnType<typeof ClientProxyFactory.create>;
  const send = (pattern: string): Promise<unknown> => lastValueFrom(client.send<unknown, string>(pattern, 'hi'));
  const isBack = (): Promise<void> =>
    eventually(() => pool.stats().activeConnections === 0, 'the connection came back');

  beforeAll(async () => {
    @Module({ imports: [PoolModule.forRoot({ pools: pools() })], controllers: [Messages], providers: [filter] })
    class AppModule {}
    const options = { host: '127.0.0.1', port: await freePort() };
    app = await NestFactory.createMicroservice<MicroserviceOptions>(AppModule, {
      transport: Transport.TCP,
      options,
      logger: false,
    });
    await app.listen();
    pool = app.get(getPoolToken('documents'));
    await pool.use(() => 'one is open');
    client = ClientProxyFactory.create({ transport: Transport.TCP, options });
  });
  afterAll(async () => {
    await client.close();
    await app.close();
    expect(pool.state).toBe('closed');
  });

  it('leases for a message, and for as long as the values last', async () => {
    expect(await send('use')).toBe('hi by number');
    expect(await lastValueFrom(client.send<string>('values', 'hi').pipe(toArray()))).toEqual(['a', 'number']);
    await isBack();
  });

  it('holds a lease per request until the handler has ended', async () => {
    expect(await send('request')).toBe('hi number 1');
    await isBack();
  });

  it('tells a client that the service is busy, and nothing of the pool', async () => {
    const lease = await pool.acquire();
    await expect(send('use')).rejects.toEqual(BUSY);
    lease.release();
  });

  it('tells nothing of a mistake in the program', async () => {
    await expect(send('mistake')).rejects.toEqual({ status: 'error', code: 13, message: 'Internal server error' });
  });

  it('refuses a message in the place of a connection', async () => {
    await expect(send('unmarked')).rejects.toMatchObject({ message: 'Internal server error' });
    const messages = app.get(Messages);
    expect(() => void messages.unmarked('hi' as never)).toThrow(
      'Nest passes the message into the parameter under @Leased(); mark the message, as by @Payload()',
    );
  });
});

// Nest applies no global filter to gateways.
@UseFilters(PoolExceptionFilter)
@WebSocketGateway()
class Gateway {
  @SubscribeMessage('use')
  @UsePool('documents', { acquireTimeoutMs: 0 })
  async use(
    @ConnectedSocket() _socket: WebSocket,
    @MessageBody() text: string,
    @Leased() connection?: GatedConnection,
  ): Promise<{ event: string; data: string }> {
    return { event: 'used', data: `${text} by ${typeof connection!.id}` };
  }

  @LeasePerRequest('documents')
  @SubscribeMessage('request')
  async request(@MessageBody() text: string, @Leased() connection?: GatedConnection): Promise<object> {
    return { event: 'requested', data: `${text} by ${typeof connection!.id}` };
  }
}

describe('a WebSocket gateway', () => {
  let app: INestApplication;
  let socket: WebSocket;
  let pool: GatedPool;
  const send = async (event: string): Promise<unknown> => {
    socket.send(JSON.stringify({ event, data: 'hi' }));
    const [answer] = (await once(socket, 'message')) as [Buffer];
    return JSON.parse(answer.toString());
  };

  beforeAll(async () => {
    @Module({ imports: [PoolModule.forRoot({ pools: pools() })], providers: [Gateway] })
    class AppModule {}
    app = await NestFactory.create(AppModule, { logger: false });
    app.useWebSocketAdapter(new WsAdapter(app));
    await app.listen(0, '127.0.0.1');
    pool = app.get(getPoolToken('documents'));
    await pool.use(() => 'one is open');
    socket = new WebSocket((await app.getUrl()).replace('http', 'ws'));
    await once(socket, 'open');
  });
  afterAll(async () => {
    socket.terminate();
    await app.close();
  });

  it('leases for a message, and per request', async () => {
    expect(await send('use')).toEqual({ event: 'used', data: 'hi by number' });
    expect(await send('request')).toEqual({ event: 'requested', data: 'hi by number' });
    await eventually(() => pool.stats().activeConnections === 0, 'the connections came back');
    expect(pool.stats().released).toBe(3);
  });

  it('tells a client that the service is busy', async () => {
    const lease = await pool.acquire();
    expect(await send('use')).toEqual({ event: 'exception', data: BUSY });
    lease.release();
  });
});

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as { port: number };
  probe.close();
  await once(probe, 'close');
  return port;
}
