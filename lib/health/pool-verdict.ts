import type { PoolStats } from '../core/index.js';

/** How a pool is doing, and why it is not up. @publicApi */
export type PoolVerdict =
  { readonly status: 'up' } | { readonly status: 'degraded' | 'down'; readonly message: string };

/**
 * Judges a pool by its statistics alone: nothing is sent, nobody's connection is borrowed.
 *
 * Down: closed, shutting down, or without any connection after the last attempt to open one failed. Degraded: its upstream
 * refuses further connections while those there are still work, or all are in use and acquires wait.
 *
 * @internal
 */
export function verdictOf(stats: PoolStats, isShuttingDown = false): PoolVerdict {
  if (stats.state === 'closed') return { status: 'down', message: 'closed' };
  if (stats.state === 'draining' || isShuttingDown) return { status: 'down', message: 'shutting down' };
  const { lastCreateError: failure, idleConnections, activeConnections, waiting, maxConnections } = stats;
  if (stats.createFailuresInRow > 0 && idleConnections === 0) {
    const message = `cannot open a connection: ${failure?.code ?? failure?.name ?? 'unknown error'}`;
    return { status: activeConnections === 0 ? 'down' : 'degraded', message };
  }
  if (waiting > 0 && activeConnections === maxConnections) {
    return { status: 'degraded', message: `all ${maxConnections} connections are in use and ${waiting} acquires wait` };
  }
  return { status: 'up' };
}
