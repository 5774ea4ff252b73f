import {
  type BeforeApplicationShutdown,
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleDestroy,
  type OnModuleInit,
} from '@nestjs/common';
import { HttpAdapterHost, ModulesContainer } from '@nestjs/core';
import { ClientRelease, type Release } from './client-release.js';
import { instancesNotMadeByNest, watchBoot } from './nest-instances.js';
import { givePools } from './pool-property.js';
import { PoolLogger } from './pool.logger.js';
import {
  applicationEnded,
  applicationStarted,
  type PoolKeeper,
  PoolRegistry,
  type RegisteredPool,
} from './pool.registry.js';
import { SessionRelease } from './session-release.js';

/**
 * Ties the pools to the application's life.
 *
 * Nest destroys modules first, then stops the server, then calls the shutdown hooks. A pool closed in the first step
 * would fail the requests that the server still answers; and one that drained there would open a connection for every other
 * of them, under all the load that a balancer sends until it has noticed. So the first step turns readiness only, pools drain
 * when the server has let go of its clients, and close in the last.
 *
 * No hook of the shutdown ever throws: Nest 11 gives up the whole shutdown for one that does. Nest 11 may also run them
 * twice, which is harmless, since draining and closing are.
 *
 * @internal
 */
@Injectable()
export class PoolLifecycle
  implements
    OnModuleInit,
    OnApplicationBootstrap,
    OnModuleDestroy,
    BeforeApplicationShutdown,
    OnApplicationShutdown,
    PoolKeeper
{
  /** By pool; those of keys come and go. */
  private readonly loggers = new WeakMap<object, PoolLogger>();
  private readonly logger = new Logger('PoolModule');
  private clients: Release | undefined;

  constructor(
    @Inject(PoolRegistry) private readonly registry: PoolRegistry,
    @Inject(ModulesContainer) private readonly modules: ModulesContainer,
    @Inject(HttpAdapterHost) private readonly host: HttpAdapterHost,
  ) {}

  /** Global modules come first: whatever else is initialised finds its pools. */
  onModuleInit(): void {
    applicationStarted(this.registry);
    this.registry.opened(this);
    for (const instance of instancesNotMadeByNest(this.modules)) givePools(instance, this.registry);
    watchBoot(this.modules, this, 'onModuleInit', () => this.bootFailed());
  }

  /**
   * Starts to open the minimums, and waits for the pools alone without which the application must not boot: any other
   * upstream that is down must not keep it from booting.
   */
  async onApplicationBootstrap(): Promise<void> {
    watchBoot(this.modules, this, 'onApplicationBootstrap', () => this.bootFailed());
    this.watchServer();
    for (const entry of this.registry.list()) this.begin(entry);
    try {
      await Promise.all(this.registry.list().map((entry) => this.prove(entry)));
    } catch (error) {
      await this.bootFailed();
      throw error;
    }
  }

  begin({ name, pool, definition }: Pick<RegisteredPool, 'name' | 'pool' | 'definition'>): void {
    // One that was made while modules were initialised has begun then.
    if (this.loggers.has(pool)) return;
    const logger = new PoolLogger(name);
    this.loggers.set(pool, logger);
    logger.watch(pool, definition.describe());
    // A stand-in in a test may do anything.
    Promise.resolve(pool.start?.()).catch((error: unknown) => logger.failed('start', error));
  }

  async onModuleDestroy(): Promise<void> {
    this.registry.leaving();
    this.clients?.begin();
    const early = this.registry.list().filter(({ shutdown }) => shutdown === 'close-on-destroy');
    await Promise.all(early.map((entry) => this.close(entry)));
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.clients?.beforeServerCloses();
    for (const entry of this.registry.list()) this.drain(entry);
    for (const keyed of this.registry.listKeyed()) this.drain({ name: keyed.name, pool: keyed });
  }

  async onApplicationShutdown(): Promise<void> {
    const released = this.clients?.end();
    this.clients = undefined;
    if (released !== undefined && released.answered + released.cut > 0) {
      const { answered, cut } = released;
      this.logger.log(
        `the server closed; since the shutdown began ${answered} requests were answered and ${cut} cut off`,
      );
    }
    await this.closeAll();
  }

  /** Whoever has waited for a boot in vain has no application that he could close. */
  private async bootFailed(): Promise<void> {
    this.clients?.end();
    this.clients = undefined;
    await this.closeAll();
  }

  private async closeAll(): Promise<void> {
    this.registry.ended();
    const keyed = this.registry.listKeyed().map((pools) => pools.close());
    await Promise.all(this.registry.list().map((entry) => this.close(entry)));
    await Promise.allSettled(keyed);
    await this.registry.removed();
    applicationEnded(this.registry);
  }

  /** Has a pool show that it can lend a connection. */
  private async prove({ name, pool, failOnStart }: RegisteredPool): Promise<void> {
    if (!failOnStart) return;
    try {
      await pool.use(() => undefined);
    } catch (error) {
      this.logger.error(`the application does not start without the pool "${name}" (failOnStart)`);
      throw error;
    }
  }

  private drain({ name, pool }: { readonly name: string; readonly pool: { drain?(): void } }): void {
    try {
      pool.drain?.();
    } catch (error) {
      new PoolLogger(name).failed('drain', error);
    }
  }

  private async close({ name, pool }: RegisteredPool): Promise<void> {
    // An application that was stopped before it had booted has opened nothing and watched nothing.
    const logger = this.loggers.get(pool) ?? new PoolLogger(name);
    const isFirst = pool.state !== 'closed';
    try {
      const report = await pool.close?.();
      if (isFirst) logger.closed(report);
    } catch (error) {
      logger.failed('close', error);
    }
  }

  private watchServer(): void {
    const { httpAdapter } = this.host;
    const server: unknown = httpAdapter?.getHttpServer();
    if (!this.registry.list().every(({ releaseClients }) => releaseClients)) return;
    if (ClientRelease.canServe(server)) this.clients ??= new ClientRelease(server);
    else if (SessionRelease.canServe(server)) this.clients ??= new SessionRelease(server);
  }
}
