import { type DynamicModule, Module } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import { createPoolHealthController } from './pool-health.controller.js';
import { PoolHealthIndicator } from './pool.health.js';

/** @publicApi */
export interface PoolHealthModuleOptions {
  /** Where the routes `…/live` and `…/ready` are; `false` for none, when a controller of yours asks the indicator. Default: `health`. */
  readonly path?: string | false;
}

/** The indicator alone. Terminus' own log is off: it would write at every probe what the pools write once. */
@Module({
  imports: [TerminusModule.forRoot({ logger: false })],
  providers: [PoolHealthIndicator],
  exports: [PoolHealthIndicator, TerminusModule],
})
class PoolHealthIndicatorModule {}

/**
 * {@link PoolHealthIndicator} for your own health controller, and, unless told otherwise, the routes `GET /health/live`
 * and `GET /health/ready`.
 *
 * @publicApi
 */
@Module({
  imports: [PoolHealthIndicatorModule],
  controllers: [createPoolHealthController('health')],
  exports: [PoolHealthIndicatorModule],
})
export class PoolHealthModule {
  static forRoot({ path = 'health' }: PoolHealthModuleOptions = {}): DynamicModule {
    return {
      // Not this class: Nest would add the routes that stand in its own metadata.
      module: ConfiguredPoolHealthModule,
      imports: [PoolHealthIndicatorModule],
      controllers: path === false ? [] : [createPoolHealthController(path)],
      exports: [PoolHealthIndicatorModule],
    };
  }
}

@Module({})
class ConfiguredPoolHealthModule {}
