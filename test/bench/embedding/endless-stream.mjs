import { OURS } from './contenders.mjs';
import { textsInTurn } from './texts.mjs';

const MIB = 2 ** 20;
const MOST_MIB = 50;
const PARTS = 20;
/** Two parts of twenty: code is compiled, the cache is full. */
const WARM_UP = 2;
/** The vectors are small: it is about what the client keeps. */
const DIMENSIONS = 16;

/** @type {import('../embedding.mjs').Section} */
export const section = {
  title: 'A stream of millions: does what it keeps grow?',
  upstream: 'instant',
  connections: 8,
  contenders: [OURS],
  rounds: 1,
  async measure(contender, { streamLength }) {
    const samples = [];
    const every = Math.ceil(streamLength / PARTS);
    let made = 0;
    function* source() {
      for (const text of textsInTurn(streamLength)) {
        yield text;
        made += 1;
        if (made % every === 0) samples.push(keptMiB());
      }
    }
    const began = performance.now();
    const done = await contender.stream(source(), { dimensions: DIMENSIONS });
    if (done !== streamLength) throw new Error(`${done} vectors came for ${streamLength} texts`);
    const steady = samples.slice(WARM_UP);
    return {
      perSecond: (done / (performance.now() - began)) * 1_000,
      grown: Math.max(...steady) - Math.min(...steady),
      least: Math.min(...steady),
      most: Math.max(...steady),
    };
  },
  tables: [{ columns: { 'texts/s': 'perSecond', 'least MiB': 'least', 'most MiB': 'most', difference: 'grown' } }],
  judge(results) {
    const reached = results.median(OURS, 'grown');
    const rule = `endless stream: heap + external within ${MOST_MIB} MiB after the warm-up`;
    return [{ rule, reached, unit: 'MiB', isReached: reached <= MOST_MIB, isBinding: true }];
  },
};

function keptMiB() {
  globalThis.gc();
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / MIB;
}
