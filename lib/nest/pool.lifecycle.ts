import {
  Inject,
  Injectable,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleDestroy,
} from '@nestjs/common';
import { PoolLogger } from './pool.logger.js';
import { applicationEnded, applicationStarted, PoolRegistry, type RegisteredPool } from './pool.registry.js';

/**
 * Ties the pools to the application's life.
 *
 * Nest destroys modules first, then stops the server, then calls the shutdown hooks. A pool closed in the first step
 * would fail the requests that the server still answers, so it only drains there and closes in the last.
 *
 * No hook ever throws: Nest 11 gives up the whole shutdown for one that does. Nest 11 may also run them twice, which is
 * harmless, since draining and closing are.
 *
 * @internal
 */
@Injectable()
export class PoolLifecycle implements OnApplicationBootstrap, OnModuleDestroy, OnApplicationShutdown {
  private readonly loggers = new Map<RegisteredPool, PoolLogger>();

  constructor(@Inject(PoolRegistry) private readonly registry: PoolRegistry) {}

  /** Starts to open the minimums and waits for none: an upstream that is down must not keep the application from booting. */
  onApplicationBootstrap(): void {
    applicationStarted(this.registry);
    for (const entry of this.registry.list()) {
      const { name, pool, definition } = entry;
      const logger = new PoolLogger(name);
      this.loggers.set(entry, logger);
      logger.watch(pool, definition.describe());
      void pool.start?.();
    }
  }

  async onModuleDestroy(): Promise<void> {
    const closing: Promise<void>[] = [];
    for (const entry of this.registry.list()) {
      if (entry.shutdown === 'close-on-destroy') closing.push(this.close(entry));
      else entry.pool.drain?.();
    }
    await Promise.all(closing);
  }

  async onApplicationShutdown(): Promise<void> {
    await Promise.all(this.registry.list().map((entry) => this.close(entry)));
    applicationEnded(this.registry);
  }

  private async close(entry: RegisteredPool): Promise<void> {
    // An application that was stopped before it had booted has opened nothing and watched nothing.
    const logger = this.loggers.get(entry) ?? new PoolLogger(entry.name);
    const isFirst = entry.pool.state !== 'closed';
    try {
      const report = await entry.pool.close?.();
      if (isFirst) logger.closed(report);
    } catch (error) {
      logger.failed('close', error);
    }
  }
}
