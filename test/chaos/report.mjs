import { HEALTH_CHECK_INTERVAL_MS } from './limits.mjs';

/** What was seen of one kind, for people. */
export function printReport(report) {
  const { kind, seconds, ok, failures, failed, sessions, pool, close, broken } = report;
  console.log(
    `\n${kind}: ${broken.length === 0 ? 'no rule was broken' : `${broken.length} RULES BROKEN`} in ${seconds} s`,
  );
  line('operations', `${ok} ok (p50 ${report.p50Ms}, p99 ${report.p99Ms}, max ${report.maxMs} ms), ${failures} failed`);
  for (const [error, count] of Object.entries(failed).toSorted(([, a], [, b]) => b - a))
    line('', `${count} × ${error}`);
  line('faults', `${report.kills} kills, ${report.restarts} restarts, ${report.faults.length} in all besides kills`);
  printRecoveries(report.faults);
  const { max, besides, mostOverdue } = sessions;
  const limit = [`limit ${max}`, besides && `${besides} besides`, mostOverdue && `${mostOverdue} overdue`];
  line(
    'sessions',
    `at most ${sessions.mostHeld} held (${limit.filter(Boolean).join(' and ')}), ${sessions.mostAtServer} at the server with those ` +
      `it had not noticed to be closed, ${sessions.mostHalfOpen} half-open, in ${sessions.samples} samples`,
  );
  line('connections', `${pool.created} created, ${pool.createFailed} failed to; destroyed: ${nonZero(pool.destroyed)}`);
  line('events', nonZero(pool.events));
  line('close', JSON.stringify(close));
  for (const { sentence, times } of broken) console.log(`  BROKEN ${times > 1 ? `(${times} times) ` : ''}${sentence}`);
}

function printRecoveries(faults) {
  for (const name of new Set(faults.map(({ fault }) => fault))) {
    const those = faults.filter(({ fault }) => fault === name);
    const worst = (key) => Math.max(...those.map((one) => one[key]));
    line(
      '',
      `${those.length} × ${name}: first success within ${worst('firstMs')} ms, full service ${worst('fullMs')} ms (limit ${HEALTH_CHECK_INTERVAL_MS})`,
    );
  }
}

function nonZero(counts) {
  const told = Object.entries(counts).filter(([, count]) => count > 0);
  return told.map(([name, count]) => `${count} ${name}`).join(', ') || 'none';
}

function line(label, text) {
  console.log(`  ${label.padEnd(12)}${text}`);
}
