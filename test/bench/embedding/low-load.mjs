import { BARE_AXIOS, BARE_AXIOS_BASE64, FLOOR, HAND_WRITTEN, OURS, OURS_UNDICI, PEERS } from './contenders.mjs';
import { closedLoop } from './load.mjs';

/** @type {import('../embedding.mjs').Section} */
export const section = {
  title: 'embed(), one call at a time, upstream without latency',
  upstream: 'instant',
  connections: 8,
  contenders: [OURS, OURS_UNDICI, ...PEERS, BARE_AXIOS_BASE64, HAND_WRITTEN, FLOOR],
  measure(contender, { isQuick }) {
    const size = isQuick ? { warmUpMs: 800, windowMs: 800 } : { warmUpMs: 2_000, windowMs: 2_000 };
    return closedLoop(contender.embed, { callers: 1, ...size });
  },
  tables: [{ columns: { 'p50 ms': 'p50', 'p99 ms': 'p99', 'calls/s': 'perSecond', 'µs of CPU a call': 'cpuMicros' } }],
  judge(results) {
    const judged = results.ratio(OURS, BARE_AXIOS, 'p50');
    const told = results.ratio(OURS, BARE_AXIOS_BASE64, 'p50');
    return [
      { rule: 'embed(), one at a time, no latency: p50 not above bare axios', reached: judged, isReached: judged <= 1 },
      { rule: 'embed(), one at a time, no latency: p50 of bare axios that asks for base64 too', reached: told },
    ];
  },
};
