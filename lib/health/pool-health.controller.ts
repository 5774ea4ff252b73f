import { Controller, Get, Inject, type Type } from '@nestjs/common';
import { HealthCheck, type HealthCheckResult, HealthCheckService } from '@nestjs/terminus';
import { PoolHealthIndicator } from './pool.health.js';

/** What the two routes answer. @internal */
export interface PoolHealthRoutes {
  live(): Promise<HealthCheckResult>;
  ready(): Promise<HealthCheckResult>;
}

/**
 * A controller for that path. A fresh class each time, because Nest keeps a controller's path on its class.
 *
 * @internal
 */
export function createPoolHealthController(path: string): Type<PoolHealthRoutes> {
  @Controller(path)
  class PoolHealthController implements PoolHealthRoutes {
    constructor(
      @Inject(HealthCheckService) private readonly health: HealthCheckService,
      @Inject(PoolHealthIndicator) private readonly pools: PoolHealthIndicator,
    ) {}

    /** Whether the process answers. An upstream that is down is no reason to restart it. */
    @Get('live')
    @HealthCheck()
    live(): Promise<HealthCheckResult> {
      return this.health.check([]);
    }

    /** Whether requests should be sent here: every pool can serve, and nothing is shutting down. */
    @Get('ready')
    @HealthCheck()
    ready(): Promise<HealthCheckResult> {
      return this.health.check([() => this.pools.checkAll()]);
    }
  }
  return PoolHealthController;
}
