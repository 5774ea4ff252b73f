import { setTimeout as sleep } from 'node:timers/promises';
import { HEALTH_CHECK_INTERVAL_MS, LIMITS, scaled } from './limits.mjs';

const PATIENCE_MS = scaled(5_000);

/** After the storm: no slot is lost. Each rule that is broken is a breach of the tally's. */
export async function judgeTheRest({ pool, upstream, proxy, tally }) {
  const { maxConnections: max } = LIMITS;
  await must(tally, 'all came back', () => {
    const { activeConnections, creatingConnections, checkingConnections, destroyingConnections, overdue } =
      pool.stats();
    return activeConnections + creatingConnections + checkingConnections + destroyingConnections + overdue === 0;
  });
  await must(tally, 'the pool serves its whole maximum again', () => servesAll(pool, upstream, max, tally));
  await must(tally, 'all connections are idle', () => {
    const { totalConnections, idleConnections } = pool.stats();
    return totalConnections === idleConnections;
  });
  await must(tally, 'the server has a session for every connection, or for none of them', async () => {
    const wanted = upstream.sharesSessions ? 0 : pool.stats().totalConnections;
    return (await upstream.sessions())?.length === wanted;
  });

  const report = await pool.close({ timeoutMs: 2_000 });
  const stats = pool.stats();
  if (stats.totalConnections + stats.overdue !== 0) tally.breach(`${stats.totalConnections} connections after close()`);
  await must(
    tally,
    'the server has no session of ours after close()',
    async () => (await upstream.sessions())?.length === 0,
  );
  const sockets = () => `${proxy.clients} are open, ${proxy.halfOpen} of them half-open`;
  await must(tally, 'no socket is open after close()', () => proxy.clients === 0, sockets);
  return report;
}

/** The rules about the time of the storm. */
export function judgeTheStorm({ tally, recovery, watch, faults, strays }) {
  for (const { fault, fullMs, unserved } of recovery.faults) {
    if (fullMs <= HEALTH_CHECK_INTERVAL_MS) continue;
    const when = fullMs === Infinity ? `never, ${unserved} workers went without` : `after ${fullMs} ms`;
    tally.breach(`no full service within ${HEALTH_CHECK_INTERVAL_MS} ms of ${fault}: ${when}`);
  }
  if (watch.worstExcess > 0) tally.breach(`the server counted ${watch.worstExcess} sessions above the maximum`);
  if (watch.samples === 0) tally.breach('the sessions were never counted');
  if (faults.kills === 0) tally.breach('no session was killed');
  for (const { kind, error } of strays) tally.breach(`${kind}: ${describe(error)}`);
}

/** Without what differs from one to the next. */
function describe(error) {
  const frames = String(error?.stack ?? '')
    .split('\n')
    .filter((line) => line.startsWith('    at '));
  const message = String(error?.message ?? error).replaceAll(/\d+/gu, 'N');
  return [`${error?.name ?? typeof error} ${error?.code ?? ''} ${message}`, ...frames.slice(0, 6)].join('\n');
}

async function servesAll(pool, upstream, max, tally) {
  const settled = await Promise.allSettled(Array.from({ length: max }, () => pool.acquire()));
  const leases = settled.filter(({ status }) => status === 'fulfilled').map(({ value }) => value);
  try {
    await Promise.all(leases.map(({ connection }) => upstream.touch(connection)));
    return leases.length === max && pool.stats().activeConnections === max;
  } catch (error) {
    tally.failure('afterwards', error);
    return false;
  } finally {
    for (const lease of leases) lease.release();
  }
}

async function must(tally, sentence, isSo, situation = () => 'it is not so') {
  const end = performance.now() + PATIENCE_MS;
  while (!(await isSo())) {
    if (performance.now() > end) return tally.breach(`${sentence}: ${situation()} ${PATIENCE_MS} ms after the storm`);
    await sleep(20);
  }
}
