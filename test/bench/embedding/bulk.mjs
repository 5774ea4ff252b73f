import {
  BARE_AXIOS,
  BARE_AXIOS_BASE64,
  FLOOR,
  HAND_WRITTEN,
  OURS,
  OURS_UNDICI,
  PEERS,
  WITHOUT_CACHE,
} from './contenders.mjs';
import { timed } from './load.mjs';
import { nextTexts } from './texts.mjs';

const INPUTS = 128;
const IN_FLIGHT = 10;

/** In µs an input, on a machine where the SDK took 84 and the hand-written client 6.6. */
const REFERENCE = { [OURS]: 24, [OURS_UNDICI]: 12, openai: 84, [HAND_WRITTEN]: 6.6 };

/** @type {import('../embedding.mjs').Section} */
export const section = {
  title: `Requests of ${INPUTS} texts, ${IN_FLIGHT} in flight, upstream without latency`,
  upstream: 'instant',
  connections: IN_FLIGHT,
  batchSize: INPUTS,
  contenders: [OURS, OURS_UNDICI, ...WITHOUT_CACHE, ...PEERS, BARE_AXIOS_BASE64, HAND_WRITTEN, FLOOR],
  async measure(contender, { isQuick }) {
    const forMs = isQuick ? 1_000 : 3_000;
    await requests(contender, forMs);
    return timed(() => requests(contender, forMs));
  },
  tables: [{ columns: { 'µs of CPU an input': 'cpuMicros', 'inputs/s': 'perSecond' } }],
  judge(results) {
    const told = [OURS, OURS_UNDICI].flatMap((name) => {
      const most = REFERENCE[name];
      const micros = results.median(name, 'cpuMicros');
      const absolute = {
        rule: `bulk, ${name}: ≤ ${most} µs an input`,
        reached: micros,
        unit: 'µs',
        isReached: micros <= most,
      };
      const relative = ['openai', HAND_WRITTEN].map((other) => {
        const share = most / REFERENCE[other];
        const reached = results.ratio(name, other, 'cpuMicros');
        const rule = `bulk, ${name}: ≤ ${share.toFixed(2)} × the CPU of ${other}, as on the reference machine`;
        return { rule, reached, isReached: reached <= share };
      });
      return [absolute, ...relative];
    });
    const rule = `bulk, ours: CPU of ${BARE_AXIOS}`;
    return [...told, { rule, reached: results.ratio(OURS, BARE_AXIOS, 'cpuMicros') }];
  },
};

async function requests(contender, forMs) {
  const until = performance.now() + forMs;
  let inputs = 0;
  const worker = async () => {
    while (performance.now() < until) {
      const vectors = await contender.embedBatch(nextTexts(INPUTS));
      inputs += vectors.length;
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
  return inputs;
}
