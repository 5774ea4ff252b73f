import { type ChannelCredentials, type ChannelOptions, type Client, connectivityState } from '@grpc/grpc-js';
import { type ConnectionFactory, type CreateContext, customPool, type HookContext } from 'nestjs-pools/core';
import type { PoolDefinition, PoolLimits } from 'nestjs-pools/core';

/** A client class as `@grpc/grpc-js` makes it of a service definition, or as a code generator writes it. */
export type GrpcClientClass<C extends Client> = new (
  address: string,
  credentials: ChannelCredentials,
  options: ChannelOptions,
) => C;

export interface GrpcPoolOptions<C extends Client> extends PoolLimits {
  readonly client: GrpcClientClass<C>;
  readonly address: string;
  readonly credentials: ChannelCredentials;
  readonly channelOptions?: ChannelOptions;
  /** Ask `grpc.health.v1.Health`, for servers that have it. Without it, a channel that is connected is healthy. */
  readonly checkHealth?: boolean;
}

/**
 * A pool of gRPC channels, for servers that allow few calls at a time on one connection, and for balancers that spread
 * connections and not calls. A lease is a channel of the borrower's own, which may have as many calls on it as the server lets.
 */
export function grpcPool<C extends Client>(options: GrpcPoolOptions<C>): PoolDefinition<C> {
  const { client, address, credentials, channelOptions, checkHealth = false, ...limits } = options;
  return customPool({
    factory: new GrpcChannelFactory(client, address, credentials, channelOptions, checkHealth),
    description: `grpc://${address}`,
    // A channel that is lost says so, and a check at lease would cost a call before each call.
    validateAfterIdleMs: Infinity,
    ...limits,
  });
}

class GrpcChannelFactory<C extends Client> implements ConnectionFactory<C> {
  constructor(
    private readonly client: GrpcClientClass<C>,
    private readonly address: string,
    private readonly credentials: ChannelCredentials,
    private readonly channelOptions: ChannelOptions | undefined,
    private readonly checkHealth: boolean,
  ) {}

  async create({ signal, broken }: CreateContext): Promise<C> {
    const client = new this.client(this.address, this.credentials, {
      ...this.channelOptions,
      // Channels to one address share their connections otherwise, and all of them would be one.
      'grpc.use_local_subchannel_pool': 1,
    });
    try {
      await connected(client, signal);
    } catch (error) {
      client.close();
      throw error;
    }
    tellWhenLost(client, broken);
    return client;
  }

  looksAlive(client: C): boolean {
    return client.getChannel().getConnectivityState(false) === connectivityState.READY;
  }

  isHealthy(client: C, { signal }: HookContext): Promise<boolean> | boolean {
    return this.looksAlive(client) && (!this.checkHealth || isServing(client, signal));
  }

  /** Calls know nothing of each other, so there is nothing to reset. Those that still run are ended by the server or their deadline. */
  destroy(client: C): void {
    client.close();
  }
}

/** Fails with the first attempt that does: to try again is the pool's business, which knows who waits and for how long. */
function connected(client: Client, signal: AbortSignal): Promise<void> {
  const channel = client.getChannel();
  return new Promise((resolve, reject) => {
    const giveUp = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', giveUp, { once: true });
    const look = (): void => {
      const state = channel.getConnectivityState(true);
      if (state !== connectivityState.CONNECTING && state !== connectivityState.IDLE) {
        signal.removeEventListener('abort', giveUp);
        if (state === connectivityState.READY) resolve();
        else reject(Object.assign(new Error('the channel could not connect'), { code: 'UNAVAILABLE' }));
      } else if (!signal.aborted) channel.watchConnectivityState(state, Infinity, look);
    };
    look();
  });
}

/** A channel that is not READY any more would connect again by itself, at some time, within somebody's call. */
function tellWhenLost(client: Client, broken: (error?: unknown) => void): void {
  client.getChannel().watchConnectivityState(connectivityState.READY, Infinity, () => {
    broken(Object.assign(new Error('the channel has lost its connection'), { code: 'UNAVAILABLE' }));
  });
}

/** `Check` of grpc.health.v1: an empty question is about the whole server, and the bytes `08 01` say SERVING. */
function isServing(client: Client, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const bytes = (buffer: Buffer): Buffer => buffer;
    const call = client.makeUnaryRequest<Buffer, Buffer>(
      '/grpc.health.v1.Health/Check',
      bytes,
      bytes,
      Buffer.alloc(0),
      (error, answer) => (error === null ? resolve(answer?.equals(SERVING) === true) : reject(error)),
    );
    signal.addEventListener('abort', () => call.cancel(), { once: true });
  });
}

const SERVING = Buffer.from([0x08, 0x01]);
