import { FaultProxy } from '../support/fault-proxy.mjs';
import { Faults } from './faults.mjs';
import { LIMITS } from './limits.mjs';
import { Recovery } from './recovery.mjs';
import { judgeTheRest, judgeTheStorm } from './rules.mjs';
import { seeded } from './seeded.mjs';
import { SessionWatch } from './session-watch.mjs';
import { Tally } from './tally.mjs';
import { Workers } from './workers.mjs';

/** One kind's storm, and the judgement of it. */
export async function runKind(kind, { name, seed, seconds, workers: count }) {
  const upstream = await kind.start();
  const proxy = await FaultProxy.start(upstream.target);
  const strays = catchStrays();
  const tally = new Tally();
  const recovery = new Recovery(count);
  try {
    const definition = upstream.definition({ host: proxy.host, port: proxy.port }, LIMITS);
    const { factory, limits } = definition;
    const pool = definition.createPool({ name: `chaos-${name}`, factory, ...limits });
    const events = countEvents(pool);
    await pool.start();
    const parts = { pool, upstream, proxy, tally, recovery, seed, count, seconds, max: LIMITS.maxConnections };
    const workers = new Workers(parts);
    const watch = new SessionWatch(parts);
    const faults = new Faults({ ...parts, random: seeded(seed) });
    await faults.run();
    await workers.end();
    await watch.end();
    judgeTheStorm({ ...parts, watch, faults, strays: strays.list });
    const close = await judgeTheRest(parts);
    return report({ name, seconds, tally, recovery, watch, faults, events, close, stats: pool.stats() });
  } finally {
    strays.stop();
    await proxy.stop();
    await upstream.close();
  }
}

/** What would end the process of somebody who has no handlers for it. */
function catchStrays() {
  const list = [];
  const onRejection = (error) => list.push({ kind: 'unhandled rejection', error });
  const onException = (error) => list.push({ kind: 'uncaught exception', error });
  process.on('unhandledRejection', onRejection);
  process.on('uncaughtException', onException);
  const stop = () => {
    process.off('unhandledRejection', onRejection);
    process.off('uncaughtException', onException);
  };
  return { list, stop };
}

function countEvents(pool) {
  const counts = {};
  for (const event of ['createError', 'checkFailed', 'broken', 'down', 'up', 'hookError', 'misuse']) {
    counts[event] = 0;
    pool.on(event, () => (counts[event] += 1));
  }
  return counts;
}

function report({ name, seconds, tally, recovery, watch, faults, events, close, stats }) {
  const { created, createFailed, destroyed, detached, acquired, timedOut, aborted, refused } = stats;
  return {
    kind: name,
    seconds,
    ok: tally.ok,
    failures: tally.failures,
    failed: tally.failed,
    ...tally.percentiles(),
    faults: recovery.faults,
    kills: faults.kills,
    restarts: faults.restarts,
    sessions: {
      samples: watch.samples,
      max: watch.max,
      besides: watch.besides,
      mostHeld: watch.mostHeld,
      mostAtServer: watch.mostAtServer,
      mostOverdue: watch.mostOverdue,
      mostHalfOpen: watch.mostHalfOpen,
    },
    pool: { created, createFailed, destroyed, detached, acquired, timedOut, aborted, refused, events },
    close,
    broken: [...tally.broken].map(([sentence, times]) => ({ sentence, times })),
  };
}
