import { AsyncLocalStorage } from 'node:async_hooks';
import { comesAbout, down, fails, ok, partial, settled, sleep } from '../seeing.mjs';

async function collectGarbage(isDone, withinMs) {
  return comesAbout(() => {
    globalThis.gc();
    return isDone();
  }, withinMs);
}

export default [
  {
    id: 'N40',
    sentence: 'Those who timed out leave the queue',
    async run(open) {
      let creates = 0;
      const create = async () => {
        creates += 1;
        return {};
      };
      const pool = open({ create }, { acquireTimeoutMs: 100, maxWaiting: 3 });
      const held = await pool.acquire();
      await Promise.all([1, 2, 3].map(() => settled(pool.acquire(), 500)));
      const { error } = await settled(pool.acquire(), 500);
      if (/full/.test(error?.message)) return fails('they fill the queue');
      held.release();
      await sleep(50);
      return creates > 1 ? fails('creates for nobody') : ok('gone');
    },
  },
  {
    id: 'N41',
    sentence: '30 000 callbacks that release at once do not overflow the stack',
    async run(open) {
      const pool = open({}, { acquireTimeoutMs: 20_000 });
      const held = await pool.acquire();
      let served = 0;
      for (let index = 0; index < 30_000; index += 1) {
        pool.onAcquired((own) => {
          served += 1;
          own.release();
        });
      }
      let thrown;
      try {
        await held.release();
      } catch (error) {
        thrown = error;
      }
      await comesAbout(() => served === 30_000, 4_000);
      if (thrown !== undefined) return fails(`${thrown.name} out of release()`);
      return served === 30_000 ? ok('all served') : fails('some are never served');
    },
    limitMs: 15_000,
  },
  {
    id: 'N42',
    sentence: 'A listener that throws costs nobody',
    needs: ['events'],
    async run(open) {
      let calls = 0;
      const create = () => ((calls += 1) === 1 ? Promise.reject(down()) : Promise.resolve({}));
      const pool = open({ create });
      pool.listen(() => {
        throw new Error('in a listener');
      });
      await settled(pool.acquire(), 700).then(({ value }) => value?.release());
      const second = await settled(pool.acquire(), 700);
      await sleep(20);
      return second.is === 'resolved' ? ok('isolated') : fails('the acquire is lost');
    },
  },
  {
    id: 'N44',
    sentence: 'A newcomer does not overtake who waits',
    async run(open) {
      const pool = open({ destroy: () => sleep(50) }, { acquireTimeoutMs: 2_000 });
      const held = await pool.acquire();
      const order = [];
      const waiter = pool.acquire().then((own) => {
        order.push('waiter');
        own.release();
      });
      held.discard();
      const newcomer = pool.acquire().then((own) => {
        order.push('newcomer');
        own.release();
      });
      await settled(Promise.all([waiter, newcomer]), 1_500);
      return order[0] === 'waiter' ? ok('in order') : fails('overtakes');
    },
  },
  {
    id: 'N46',
    sentence: 'An idle pool lets the process end',
    endsByItself: true,
    async run(open) {
      const pool = open({}, { min: 1 });
      pool.start();
      (await pool.acquire()).release();
    },
  },
  {
    id: 'N48',
    sentence: 'Each one who waited goes on in its own async context',
    async run(open) {
      const request = new AsyncLocalStorage();
      const pool = open();
      const held = await pool.acquire();
      const seen = [];
      for (const id of [1, 2, 3]) {
        request.run(id, () =>
          pool.onAcquired((own) => {
            seen.push(request.getStore());
            own.release();
          }),
        );
      }
      await sleep(10);
      request.run('who releases', () => held.release());
      await comesAbout(() => seen.length === 3, 500);
      return seen.join() === '1,2,3' ? ok('its own') : fails("another's");
    },
  },
  {
    id: 'N49',
    sentence: 'A deadlock by nested acquires is named at once',
    async run(open) {
      const pool = open({}, { acquireTimeoutMs: 800, nesting: true });
      if (pool.use === undefined) {
        await pool.acquire();
        const inner = await settled(pool.acquire(), 1_200);
        return inner.tookMs < 300 ? ok('named') : fails('a plain timeout');
      }
      const nested = pool.use(() =>
        settled(
          pool.use(() => 'never'),
          1_200,
        ),
      );
      const inner = (await settled(nested, 1_500)).value;
      return inner?.tookMs < 300 && /deadlock/i.test(inner.error?.name) ? ok('named') : fails('a plain timeout');
    },
  },
  {
    id: 'N50',
    sentence: 'What a caller no longer waits for comes back (`Promise.race`)',
    async run(open) {
      const pool = open({}, { acquireTimeoutMs: 10_000, reclaim: true });
      const race = async () => {
        const held = await pool.acquire();
        const won = Promise.race([pool.acquire(), sleep(20, 'gave up')]);
        if ((await won) !== 'gave up') throw new Error('the race was won');
        held.release();
      };
      await race();
      let isBack = false;
      void pool.acquire().then(() => (isBack = true));
      if (await collectGarbage(() => isBack, 4_000)) return ok('comes back');
      if (pool.acquireAbortable === undefined) return fails('lost for good');
      const other = open({}, { acquireTimeoutMs: 10_000 });
      const held = await other.acquire();
      const { acquired, abort } = other.acquireAbortable();
      abort();
      held.release();
      await settled(acquired, 100);
      return (await settled(other.acquire(), 500)).is === 'resolved'
        ? partial('if it is aborted')
        : fails('lost for good');
    },
    limitMs: 8_000,
  },
  {
    id: 'N51',
    sentence: 'A timeout of 3e9 ms, or Infinity, does not pass at once',
    async run(open) {
      for (const acquireTimeoutMs of [3e9, Infinity]) {
        const pool = open({}, { acquireTimeoutMs });
        await pool.acquire();
        if ((await settled(pool.acquire(), 100)).is !== 'pending') return fails('passes in a millisecond');
      }
      return ok('waits');
    },
  },
];
