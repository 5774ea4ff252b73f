import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { until } from './rig.js';

/** A port that nobody listens at. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A Sentinel of its own that watches one master; it decides alone. */
export class OwnSentinel {
  private constructor(
    readonly port: number,
    private readonly folder: string,
    private readonly process: ChildProcess,
  ) {}

  static async start(master: { port: number; password: string }): Promise<OwnSentinel> {
    const folder = await mkdtemp(join(tmpdir(), 'nestjs-pools-sentinel-'));
    const port = await freePort();
    const config = join(folder, 'sentinel.conf');
    const lines = [
      `port ${port}`,
      'bind 127.0.0.1',
      `dir ${folder}`,
      `sentinel monitor main 127.0.0.1 ${master.port} 1`,
      ...(master.password === '' ? [] : [`sentinel auth-pass main ${master.password}`]),
      'sentinel down-after-milliseconds main 500',
      'sentinel failover-timeout main 2000',
    ];
    await writeFile(config, `${lines.join('\n')}\n`);
    const sentinel = new OwnSentinel(port, folder, spawn('redis-server', [config, '--sentinel'], { stdio: 'ignore' }));
    await until(() => sentinel.ask((redis) => redis.ping()), 'the Sentinel answers');
    return sentinel;
  }

  /** Whether it answers; and what, where that is asked for. */
  async ask(question: (redis: Redis) => Promise<unknown>, isAnswer: (answer: unknown) => boolean = Boolean) {
    const redis = new Redis({ port: this.port, host: '127.0.0.1', lazyConnect: true, retryStrategy: null });
    redis.on('error', () => undefined);
    try {
      await redis.connect();
      return isAnswer(await question(redis));
    } catch {
      return false;
    } finally {
      redis.stream?.destroy();
      redis.disconnect();
    }
  }

  /** Resolves when it knows a replica of the master, and finds it up. */
  async knowsReplica(): Promise<void> {
    const isUp = (list: unknown): boolean => flagsOf(list) === 'slave';
    await until(() => this.ask((redis) => redis.call('SENTINEL', 'REPLICAS', 'main'), isUp), 'it knows the replica');
  }

  async stop(): Promise<void> {
    const exited = new Promise((resolve) => this.process.once('exit', resolve));
    this.process.kill('SIGKILL');
    await exited;
    await rm(this.folder, { recursive: true });
  }
}

/** Of the one replica there is: a list of names and values. */
function flagsOf(list: unknown): string {
  const [fields = []] = list as string[][];
  return fields[fields.indexOf('flags') + 1] ?? '';
}
