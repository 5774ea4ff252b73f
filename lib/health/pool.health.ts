import { Inject, Injectable } from '@nestjs/common';
import { type HealthIndicatorResult, HealthIndicatorService } from '@nestjs/terminus';
import type { ConnectionPool, PoolStats } from '../core/index.js';
import { PoolRegistry } from '../nest/pool.registry.js';
import { verdictOf } from './pool-verdict.js';

/** What Terminus shows of a pool, beside its status. Numbers and an error's class: nothing that could be a secret. @publicApi */
export interface PoolHealthData extends Record<string, unknown> {
  readonly message?: string;
  readonly state: PoolStats['state'];
  readonly totalConnections: number;
  readonly idleConnections: number;
  readonly activeConnections: number;
  readonly waiting: number;
  readonly maxConnections: number;
  readonly lastCreateError?: { readonly name: string; readonly code: string | undefined; readonly agoMs: number };
}

/**
 * Terminus indicators of pools: `up`, `degraded` (which still answers 200) and `down` (503), with the pool's numbers. They
 * never throw. Terminus 11 knows no `degraded`; there it is `up` with `degraded: true`.
 *
 * @publicApi
 */
@Injectable()
export class PoolHealthIndicator {
  constructor(
    @Inject(HealthIndicatorService) private readonly health: HealthIndicatorService,
    @Inject(PoolRegistry) private readonly registry: PoolRegistry,
  ) {}

  /**
   * One pool's health.
   *
   * @param key under which Terminus shows it
   * @param name the pool's name. Default: the key
   */
  isHealthy<const K extends string>(key: K, name: string = key): HealthIndicatorResult<K> {
    const check = this.health.check(key);
    try {
      const pool = this.registry.get(name);
      const stats = pool.stats();
      const verdict = verdictOf(stats, this.registry.isShuttingDown);
      if (verdict.status === 'down') askAgain(pool, stats);
      if (verdict.status === 'up') return check.up(dataOf(stats));
      const data = { message: verdict.message, ...dataOf(stats) };
      if (verdict.status === 'down') return check.down(data);
      return typeof check.degraded === 'function' ? check.degraded(data) : check.up({ degraded: true, ...data });
    } catch (error) {
      return check.down(error instanceof Error ? error.message : 'the pool tells nothing');
    }
  }

  /** The health of every pool of the application, each under its own name. */
  checkAll(): HealthIndicatorResult {
    const results = this.registry.list().map(({ name }) => this.isHealthy(name));
    return Object.assign({}, ...results) as HealthIndicatorResult;
  }
}

function dataOf(stats: PoolStats): PoolHealthData {
  const { state, totalConnections, idleConnections, activeConnections, waiting, maxConnections } = stats;
  const numbers = { state, totalConnections, idleConnections, activeConnections, waiting, maxConnections };
  if (stats.createFailuresInRow === 0 || stats.lastCreateError === undefined) return numbers;
  const { name, code, agoMs } = stats.lastCreateError;
  return { ...numbers, lastCreateError: { name, code, agoMs: Math.round(agoMs) } };
}

/**
 * A pool with no minimum opens nothing by itself, and an application that is taken out of the balancer for it gets no
 * request that would: it would stay down for ever. So a check that finds the pool down, with nobody trying, tries.
 */
function askAgain(pool: ConnectionPool<unknown>, { state, totalConnections, waiting }: PoolStats): void {
  if (state !== 'open' || totalConnections > 0 || waiting > 0) return;
  pool.acquire().then(
    (lease) => lease.release(),
    // The next check tells of it.
    () => undefined,
  );
}
