import { FLOOR, HAND_WRITTEN, OURS, OURS_UNDICI, PEERS, WITHOUT_CACHE } from './contenders.mjs';
import { MemoryWatch } from './memory-watch.mjs';
import { nextText, nextTexts } from './texts.mjs';

const TEXTS = 10_000;
const TIMES_LESS = 3;

/** @type {import('../embedding.mjs').Section} */
export const section = {
  title: `The vectors of ${TEXTS.toLocaleString('en-US')} texts, asked for at once and all kept: MiB over what was before`,
  upstream: 'instant',
  connections: 8,
  contenders: [OURS, OURS_UNDICI, ...WITHOUT_CACHE, ...PEERS, HAND_WRITTEN, FLOOR],
  async measure(contender) {
    // Its code is loaded and its connections are open; no more, so that the peak of the process is that of what follows.
    await Promise.all(Array.from({ length: 8 }, () => contender.embed(nextText())));
    const texts = nextTexts(TEXTS);
    const watch = new MemoryWatch();
    const vectors = await contender.embedAll(texts);
    const memory = await watch.end(true);
    if (vectors.length !== TEXTS || vectors.some(({ length }) => length !== 1_536))
      throw new Error('vectors are missing');
    return memory;
  },
  tables: [{ columns: { 'peak RSS': 'peakRss', 'peak, heap + external': 'peakJs', kept: 'kept' } }],
  judge(results) {
    return ['peakRss', 'peakJs', 'kept'].map((figure) => {
      const best = results.best(PEERS, figure, 'least');
      const reached = results.ratio(best, OURS, figure);
      const rule = `memory of ${TEXTS} vectors, ${figure}: ≥ ${TIMES_LESS} × less than the best peer (${best})`;
      // What is kept in the end can only be twice as little: a number takes 8 bytes there and 4 here.
      return figure === 'kept' ? { rule, reached } : { rule, reached, isReached: reached >= TIMES_LESS };
    });
  },
};
