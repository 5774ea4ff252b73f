import { BARE_AXIOS, HAND_WRITTEN, OURS, OURS_UNDICI, PEERS } from './contenders.mjs';
import { closedLoop } from './load.mjs';
import { MemoryWatch } from './memory-watch.mjs';
import { textsPerRequest } from './request-count.mjs';
import { nextText, nextTexts } from './texts.mjs';

const CALLERS = [1, 32, 100, 1_000];
const TIMES_BEST_PEER = 10;
/** What the clock cannot tell apart at 26 ms a call. */
const ALLOWANCE = 0.01;

/** A call of the slowest takes 1 000 × 25.5 ms / 8 when a thousand call: all must have had one before it is measured. */
const warmUpMs = (callers) => (callers >= 1_000 ? 4_000 : 1_000);

/** @type {import('../embedding.mjs').Section} */
export const section = {
  title: 'embed(): one text a call, upstream of 25 ms + 0.5 ms a text with 8 slots',
  upstream: 'paced',
  connections: 8,
  contenders: [OURS, OURS_UNDICI, ...PEERS, HAND_WRITTEN],
  async measure(contender, { baseURL, isQuick }) {
    for (let call = 0; call < 20; call += 1) await contender.embed(nextText());
    const figures = await thousandAtOnce(contender);
    for (const callers of CALLERS) {
      await textsPerRequest(baseURL);
      const size = { callers, warmUpMs: warmUpMs(callers), windowMs: isQuick ? 1_000 : 3_000 };
      const measured = await closedLoop(contender.embed, size);
      const batch = await textsPerRequest(baseURL);
      for (const [what, value] of Object.entries({ ...measured, batch })) figures[`${what} at ${callers}`] = value;
    }
    return figures;
  },
  tables: [
    ...CALLERS.map((callers) => ({
      title: `${callers.toLocaleString('en-US')} at once`,
      columns: {
        'texts/s': `perSecond at ${callers}`,
        'p50 ms': `p50 at ${callers}`,
        'p99 ms': `p99 at ${callers}`,
        'µs of CPU a text': `cpuMicros at ${callers}`,
        'texts a request': `batch at ${callers}`,
      },
    })),
    {
      title: 'A thousand texts, each by a call of its own, all at once and all vectors kept: MiB over what was before',
      columns: { 'peak, heap + external': 'peakJs', 'peak RSS': 'peakRss', kept: 'kept' },
    },
  ],
  judge(results) {
    const ahead = [100, 1_000].map((callers) => {
      const figure = `perSecond at ${callers}`;
      const best = results.best(PEERS, figure, 'most');
      const reached = results.ratio(OURS, best, figure);
      const rule = `embed(), ${callers} at once: ≥ ${TIMES_BEST_PEER} × the texts/s of the best peer (${best})`;
      return { rule, reached, isReached: reached >= TIMES_BEST_PEER };
    });
    const slower = results.ratio(OURS, BARE_AXIOS, 'p50 at 1');
    const rule = 'embed(), one at a time, paced upstream: p50 not above bare axios';
    return [...ahead, { rule, reached: slower, isReached: slower <= 1 + ALLOWANCE }];
  },
};

async function thousandAtOnce(contender) {
  const texts = nextTexts(1_000);
  const watch = new MemoryWatch();
  const vectors = await Promise.all(texts.map(contender.embed));
  const memory = await watch.end();
  if (vectors.length !== texts.length) throw new Error('vectors are missing');
  return memory;
}
