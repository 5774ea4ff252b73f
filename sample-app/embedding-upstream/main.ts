import { startEmbeddingUpstream } from './embedding-upstream.js';

/**
 * The embedding upstream as a process of its own: `node main.js`, or forked by `launchEmbeddingUpstream`.
 *
 * UPSTREAM_PORT (0: any), UPSTREAM_API_KEY, UPSTREAM_LATENCY_MS, UPSTREAM_MAX_IN_FLIGHT.
 */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

try {
  const upstream = await startEmbeddingUpstream({
    port: readWholeNumber('UPSTREAM_PORT', 0, 65_535),
    apiKey: process.env['UPSTREAM_API_KEY'] || undefined,
    latencyMs: readWholeNumber('UPSTREAM_LATENCY_MS', 0, 600_000),
    maxInFlight: readWholeNumber('UPSTREAM_MAX_IN_FLIGHT', 1, 1_000_000),
  });
  console.log(`embedding upstream listening on ${upstream.url}`);
  if (process.send === undefined) endOnSignal(() => upstream.close());
  else endWithParent({ url: upstream.url, port: upstream.port });
} catch (error) {
  // One line instead of a stack: a taken port or a misspelt number is the reader's to mend, not ours.
  console.error(`embedding upstream: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
}

/** Started by hand: the terminal decides. A second signal ends it the hard way. */
function endOnSignal(close: () => Promise<void>): void {
  for (const signal of SIGNALS) process.once(signal, () => void close());
}

/**
 * Forked: the parent decides, by letting go of the channel, and even one that was killed does that. A Ctrl-C reaches the whole group at once;
 * it is ignored here, because the parent's last requests still need us while it drains.
 */
function endWithParent(message: { url: string; port: number }): void {
  for (const signal of SIGNALS) process.on(signal, () => {});
  // Nobody is left to be served, so there is nothing to finish either.
  process.once('disconnect', () => process.exit(0));
  if (!process.connected) process.exit(0);
  // The error of a parent that has just gone comes here instead of as an uncaught one; 'disconnect' follows.
  process.send?.(message, () => {});
}

/** A number from the environment; undefined if it is not set. */
function readWholeNumber(name: string, least: number, most: number): number | undefined {
  const text = process.env[name];
  if (text === undefined || text === '') return undefined;
  const value = Number(text);
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new Error(`${name} must be a whole number from ${least} to ${most}, got "${text}"`);
}
