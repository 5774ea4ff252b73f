import type { CloseReport, ConnectionInfo, PoolStats } from '../../core/index.js';
import type { KeyedPoolsCloseReport, KeyedPoolsStats } from './keyed-pools-options.js';

interface Keyed {
  readonly key: string;
  readonly pool: { stats(): PoolStats };
}

type Sums = 'totalConnections' | 'activeConnections' | 'idleConnections' | 'waiting';

/** Sums up all pools, those being closed too. @internal */
export function statsOfAll(
  open: readonly Keyed[],
  closing: readonly Keyed[],
  rest: Omit<KeyedPoolsStats, Sums | 'pools' | 'closing' | 'byKey'> & { readonly totalConnections: number | undefined },
): KeyedPoolsStats {
  const byKey = Object.fromEntries(open.map(({ key, pool }) => [key, pool.stats()]));
  const all = [...Object.values(byKey), ...closing.map(({ pool }) => pool.stats())];
  const sum = (count: Sums): number => all.reduce((total, stats) => total + stats[count], 0);
  return Object.freeze({
    ...rest,
    pools: open.length,
    closing: closing.length,
    // Where they are bounded, they are counted at the upstream's side.
    totalConnections: rest.totalConnections ?? sum('totalConnections'),
    activeConnections: sum('activeConnections'),
    idleConnections: sum('idleConnections'),
    waiting: sum('waiting'),
    closed: Object.freeze({ ...rest.closed }),
    byKey: Object.freeze(byKey),
  });
}

/** Puts the reports of all pools together. @internal */
export function reportOfAll(
  tookMs: number,
  reports: readonly { readonly key: string; readonly report: CloseReport }[],
): KeyedPoolsCloseReport {
  const forced = new Map<string, readonly ConnectionInfo[]>();
  for (const { key, report } of reports) {
    // A key may have two: one that was being closed already, and the one after it.
    if (report.forced.length > 0) forced.set(key, [...(forced.get(key) ?? []), ...report.forced]);
  }
  return Object.freeze({
    tookMs,
    pools: reports.length,
    forced: Object.freeze(Object.fromEntries(forced)),
    overdue: reports.reduce((total, { report }) => total + report.overdue, 0),
  });
}
