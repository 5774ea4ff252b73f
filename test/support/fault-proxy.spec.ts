import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { FaultProxy } from './fault-proxy.mjs';
import { eventually } from './http-server.js';

/** Both ends of connections through the proxy, and what each has heard. */
class Ends {
  readonly heard = { client: '', server: '' };
  readonly errors: string[] = [];

  private constructor(
    readonly client: Socket,
    readonly server: Socket,
  ) {
    this.listen('client', client);
    this.listen('server', server);
    client.on('error', (error: NodeJS.ErrnoException) => this.errors.push(error.code!));
    server.on('error', () => undefined);
  }

  static async open(): Promise<Ends> {
    const accepted = once(upstream, 'connection') as Promise<[Socket]>;
    const client = connect(proxy.port, proxy.host);
    return new Ends(client, (await accepted)[0]);
  }

  private listen(name: 'client' | 'server', socket: Socket): void {
    socket.setEncoding('utf8').on('data', (text: string) => (this.heard[name] += text));
  }

  /** Each says something, and both have had the time to hear it. */
  async talk(word: string): Promise<void> {
    this.client.write(`${word}?`);
    this.server.write(`${word}!`);
    await settled();
  }
}

/** Long enough for bytes over the loopback interface, thrice. */
function settled(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 30));
}

let upstream: Server;
let proxy: FaultProxy;
let opened: Ends[];

beforeEach(async () => {
  upstream = createServer({ allowHalfOpen: false }).listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  proxy = await FaultProxy.start({ host: '127.0.0.1', port: (upstream.address() as AddressInfo).port });
  opened = [];
});

afterEach(async () => {
  for (const { client, server } of opened) [client, server].map((socket) => socket.destroy());
  await proxy.stop();
  await new Promise((resolve) => upstream.close(resolve));
});

async function open(): Promise<Ends> {
  const ends = await Ends.open();
  opened.push(ends);
  return ends;
}

describe('The proxy that is a bad network', () => {
  it('passes bytes both ways, and the end of either side', async () => {
    const [one, other] = [await open(), await open()];
    await one.talk('a');
    expect(one.heard).toEqual({ client: 'a!', server: 'a?' });
    one.client.end();
    other.server.end();
    await eventually(() => [one, other].every(({ client, server }) => client.closed && server.closed), 'all closed');
    expect(proxy.clients).toBe(0);
  });

  it('knows which of the sessions that a server sees are still held', async () => {
    const [one, other] = [await open(), await open()];
    await settled();
    expect(proxy.serverSidePorts).toEqual(new Set([one.server.remotePort, other.server.remotePort]));
    one.client.destroy();
    await eventually(() => proxy.clients === 1, 'it noticed');
    expect([...proxy.serverSidePorts]).toEqual([other.server.remotePort]);
  });

  it('passes bytes late, and in order', async () => {
    const ends = await open();
    proxy.latencyMs = 60;
    proxy.mode = 'latency';
    await ends.talk('a');
    expect(ends.heard).toEqual({ client: '', server: '' });
    proxy.mode = 'ok';
    await ends.talk('b');
    await eventually(() => ends.heard.server.length === 4, 'all there');
    expect(ends.heard).toEqual({ client: 'a!b!', server: 'a?b?' });
  });

  it('passes nothing in a stall, and all of it afterwards', async () => {
    const ends = await open();
    proxy.mode = 'stall';
    const late = await open();
    await ends.talk('a');
    await late.talk('b');
    ends.server.end();
    await settled();
    expect([ends.heard, late.heard, ends.client.readableEnded]).toEqual([
      { client: '', server: '' },
      { client: '', server: '' },
      false,
    ]);
    proxy.mode = 'ok';
    await once(ends.client, 'close');
    expect([ends.heard, late.heard]).toEqual([
      { client: 'a!', server: 'a?' },
      { client: 'b!', server: 'b?' },
    ]);
  });

  it('resets what is there at once, and what comes at its first byte', async () => {
    const ends = await open();
    await settled();
    proxy.mode = 'reset';
    await eventually(() => ends.client.closed, 'reset');
    const late = await open();
    late.client.write('x');
    await eventually(() => late.client.closed, 'reset too');
    expect([ends.errors, late.errors]).toEqual([['ECONNRESET'], ['ECONNRESET']]);
  });

  it('leaves half-open connections dead and silent for ever, and lets new ones live', async () => {
    const ends = await open();
    proxy.mode = 'half-open';
    await ends.talk('a');
    proxy.mode = 'ok';
    await ends.talk('b');
    ends.server.destroy();
    await settled();
    expect([ends.heard, ends.client.closed, ends.client.readableEnded]).toEqual([
      { client: '', server: '' },
      false,
      false,
    ]);
    expect(proxy.halfOpen).toBe(1);
    const fresh = await open();
    await fresh.talk('c');
    expect(fresh.heard).toEqual({ client: 'c!', server: 'c?' });
  });

  it('ends at the server what the client of a half-open connection has given up', async () => {
    const ends = await open();
    await settled();
    proxy.mode = 'half-open';
    ends.client.destroy();
    await eventually(() => ends.server.closed && proxy.clients === 0, 'the server is told');
  });

  it('cuts an answer in its middle', async () => {
    const ends = await open();
    proxy.mode = 'cut';
    ends.client.write('question');
    await settled();
    ends.server.write('answer');
    await once(ends.client, 'close');
    expect(ends.heard).toEqual({ client: 'ans', server: 'question' });
  });

  it('resets its client when there is no server', async () => {
    const down = await FaultProxy.start({ host: '127.0.0.1', port: 1 });
    const client = connect(down.port, down.host);
    const [error] = (await once(client, 'error').catch((reason: unknown) => [reason])) as [NodeJS.ErrnoException];
    expect(error.code).toBe('ECONNRESET');
    await down.stop();
  });
});
