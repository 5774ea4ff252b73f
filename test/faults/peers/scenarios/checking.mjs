import { fails, ok, partial, settled, sleep, tryCall } from '../seeing.mjs';

/**
 * Lends one, takes it back, and from then on has its check misbehave, once: the acquire that comes upon it, and one after
 * that where it was in vain. (Some pools check new ones too, so it must not misbehave from the start.)
 */
async function askAgain(open, misbehave) {
  let isArmed = false;
  const check = () => {
    if (!isArmed) return true;
    isArmed = false;
    return misbehave();
  };
  const pool = open({ check }, { check: true, checkTimeoutMs: 150 });
  const first = await pool.acquire();
  first.release();
  await sleep(20);
  isArmed = true;
  const second = await settled(tryCall(() => pool.acquire()).promise, 700);
  const last = second.is === 'resolved' ? second : await settled(tryCall(() => pool.acquire()).promise, 700);
  return { first, second, last };
}

export default [
  {
    id: 'N14',
    sentence: 'A health check that hangs is cut and costs no place',
    needs: ['asyncCheck'],
    async run(open) {
      const { last } = await askAgain(open, () => new Promise(() => undefined));
      return last.is === 'resolved' ? ok('cut') : fails('the place is lost');
    },
  },
  {
    id: 'N15',
    sentence: 'A health check that rejects is a failed check',
    needs: ['asyncCheck'],
    async run(open) {
      const { first, second } = await askAgain(open, () => Promise.reject(new Error('cannot ask')));
      if (second.is !== 'resolved') return fails('the place is lost');
      return second.value.resource === first.resource ? fails('lent all the same') : ok('replaced');
    },
  },
  {
    id: 'N16',
    sentence: 'A health check that throws is a failed check',
    needs: ['check'],
    async run(open) {
      const { first, second, last } = await askAgain(open, () => {
        throw new Error('cannot ask');
      });
      if (last.is !== 'resolved') return fails('the place is lost');
      if (second.is !== 'resolved') return fails('thrown at the borrower');
      return second.value.resource === first.resource ? fails('lent all the same') : ok('replaced');
    },
  },
  {
    id: 'N17',
    sentence: 'A health check that answers nothing is no pass',
    needs: ['check'],
    async run(open) {
      const { first, second } = await askAgain(open, () => undefined);
      return second.value?.resource === first.resource ? partial('counts as healthy') : ok('counts as failed');
    },
  },
  {
    id: 'N18',
    sentence: 'The check on return is made',
    needs: ['returnCheck'],
    async run(open) {
      let calls = 0;
      const reset = () => {
        calls += 1;
        return Promise.reject(new Error('not clean'));
      };
      const pool = open({ reset }, { returnCheck: true });
      const first = await pool.acquire();
      await first.release();
      await sleep(20);
      const second = await settled(pool.acquire(), 700);
      if (calls === 0) return fails('the option does nothing');
      return second.is === 'resolved' && second.value.resource !== first.resource
        ? ok('replaced')
        : fails('lent again');
    },
  },
  {
    id: 'N19',
    sentence: 'A reset that hangs is cut and costs no place',
    needs: ['reset'],
    async run(open) {
      let calls = 0;
      const reset = () => ((calls += 1) === 1 ? new Promise(() => undefined) : undefined);
      const pool = open({ reset }, { reset: true, checkTimeoutMs: 150 });
      (await pool.acquire()).release();
      const next = await settled(pool.acquire(), 900);
      return next.is === 'resolved' ? ok('cut') : fails('the place is lost');
    },
  },
  {
    id: 'N43',
    sentence: 'Checks that fail together keep the order of the waiters',
    needs: ['check'],
    async run(open) {
      const bad = new Set();
      const pool = open({ check: (resource) => !bad.has(resource) }, { check: true, max: 3 });
      const held = [await pool.acquire(), await pool.acquire(), await pool.acquire()];
      for (const one of held) {
        bad.add(one.resource);
        one.release();
      }
      await sleep(20);
      const order = [];
      const all = [1, 2, 3].map((index) => pool.acquire().then(() => order.push(index)));
      const { is } = await settled(Promise.all(all), 1_000);
      if (is !== 'resolved') return fails('not all are served');
      return order.join() === '1,2,3' ? ok('in order') : fails('out of order');
    },
  },
];
