import { HAND_WRITTEN, OURS, OURS_UNDICI, PEERS } from './contenders.mjs';
import { timed } from './load.mjs';
import { MemoryWatch } from './memory-watch.mjs';
import { nextTexts, textsInTurn } from './texts.mjs';
import { textsPerRequest } from './request-count.mjs';

/** @type {import('../embedding.mjs').Section} */
export const section = {
  title: 'A stream of 100 000 texts, each by its own means of bulk, same upstream',
  upstream: 'paced',
  connections: 8,
  contenders: [OURS, OURS_UNDICI, ...PEERS, HAND_WRITTEN],
  async measure(contender, { baseURL, isQuick }) {
    const count = isQuick ? 20_000 : 100_000;
    await contender.embedAll(nextTexts(1_024));
    await textsPerRequest(baseURL);
    const watch = new MemoryWatch();
    const figures = await timed(async () => {
      const done = await contender.stream(textsInTurn(count));
      if (done !== count) throw new Error(`${done} vectors came for ${count} texts`);
      return done;
    });
    return { ...figures, ...(await watch.end()), batch: await textsPerRequest(baseURL) };
  },
  tables: [
    {
      columns: {
        'texts/s': 'perSecond',
        'µs of CPU a text': 'cpuMicros',
        'texts a request': 'batch',
        'peak MiB, heap + external': 'peakJs',
        'peak MiB, RSS': 'peakRss',
      },
    },
  ],
  judge(results) {
    const best = results.best(PEERS, 'perSecond', 'most');
    return [{ rule: `stream: texts/s of the best peer (${best})`, reached: results.ratio(OURS, best, 'perSecond') }];
  },
};
