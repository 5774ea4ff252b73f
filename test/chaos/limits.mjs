/**
 * All durations here, times CHAOS_SCALE: for machines that have other things to do. They are about a tenth of the defaults, as
 * are the faults.
 */
const SCALE = Number(process.env.CHAOS_SCALE ?? 1);

export function scaled(ms) {
  return Math.round(ms * SCALE);
}

/** How long a borrower works at most before it walks away, whatever still runs on the connection. */
export const BORROWER_PATIENCE_MS = scaled(500);

/** The time within which all is to be well again after a fault: one round of health checks, as often as HTTP has them by default. */
export const HEALTH_CHECK_INTERVAL_MS = scaled(3_000);

export const ACQUIRE_TIMEOUT_MS = scaled(2_000);

/**
 * The limits of every kind's pool here. Like the interval, the longest pause between attempts to reach a server that is down is a
 * tenth of the default or less: it is what comes on top of an outage.
 */
export const LIMITS = {
  minConnections: 5,
  maxConnections: 20,
  acquireTimeoutMs: ACQUIRE_TIMEOUT_MS,
  createTimeoutMs: scaled(1_000),
  healthCheckIntervalMs: HEALTH_CHECK_INTERVAL_MS,
  healthCheckTimeoutMs: scaled(500),
  resetTimeoutMs: scaled(500),
  destroyTimeoutMs: scaled(500),
  maxLifetimeMs: scaled(5_000),
  maxUses: 500,
  createRetry: { maxMs: scaled(1_000) },
};
