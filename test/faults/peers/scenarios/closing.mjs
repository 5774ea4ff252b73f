import { comesAbout, down, fails, ok, partial, settled, sleep } from '../seeing.mjs';

export default [
  {
    id: 'N02',
    sentence: 'Closing ends although a create hangs',
    async run(open) {
      const pool = open(
        { create: () => new Promise(() => undefined) },
        { createTimeoutMs: 300, acquireTimeoutMs: 200 },
      );
      const waiter = settled(pool.acquire(), 500);
      await sleep(20);
      const closing = await settled(pool.close({ timeoutMs: 500 }), 2_000);
      await waiter;
      return closing.is === 'pending' ? fails('never ends') : ok('ends');
    },
  },
  {
    id: 'N12',
    sentence: 'Closing ends although a destroy hangs',
    async run(open) {
      let calls = 0;
      const destroy = () => {
        calls += 1;
        return new Promise(() => undefined);
      };
      const pool = open({ destroy }, { destroyTimeoutMs: 200 });
      (await pool.acquire()).release();
      await sleep(10);
      const closing = await settled(pool.close({ timeoutMs: 500 }), 2_000);
      if (closing.is === 'pending') return fails('never ends');
      return calls === 1 && closing.tookMs < 100
        ? partial('does not wait for any destroy')
        : ok('ends at the time limit');
    },
  },
  {
    id: 'N25',
    sentence: 'Closing ends although a borrower never returns',
    async run(open) {
      const pool = open();
      await pool.acquire();
      const closing = await settled(pool.close({ timeoutMs: 300 }), 2_000);
      return closing.is === 'pending' ? fails('never ends') : ok('ends at the deadline');
    },
  },
  {
    id: 'N26',
    sentence: 'A forced close destroys what is still out',
    needs: ['force'],
    async run(open) {
      let destroys = 0;
      const pool = open({ destroy: () => void (destroys += 1) });
      const held = await pool.acquire();
      const closing = settled(pool.close({ timeoutMs: 200 }), 1_000);
      await sleep(600);
      try {
        held.release();
      } catch {
        // Refused: fine.
      }
      await closing;
      return destroys === 1 ? ok('destroyed') : fails('never destroyed');
    },
  },
  {
    id: 'N27',
    sentence: 'An acquire after closing is refused at once',
    async run(open) {
      const pool = open({}, { acquireTimeoutMs: 500 });
      (await pool.acquire()).release();
      await sleep(10);
      await settled(pool.close(), 1_000);
      const { is } = await settled(pool.acquire(), 250);
      if (is === 'resolved') return fails('the pool opens again');
      return is === 'rejected' ? ok('refused') : fails('waits for its timeout');
    },
  },
  {
    id: 'N28',
    sentence: 'Those who wait when the pool is closed are served or told',
    async run(open) {
      const pool = open({}, { acquireTimeoutMs: 10_000 });
      const held = await pool.acquire();
      const waiting = pool.acquire();
      const waiter = settled(
        waiting.then((own) => own.release()),
        1_000,
      );
      const closing = settled(pool.close({ timeoutMs: 5_000 }), 1_500);
      await sleep(20);
      held.release();
      await closing;
      return (await waiter).is === 'pending' ? fails('never settled') : ok('settled');
    },
  },
  {
    id: 'N29',
    sentence: 'An acquire whose create runs when the pool is closed is settled',
    async run(open) {
      const create = async () => {
        await sleep(100);
        return {};
      };
      const pool = open({ create }, { acquireTimeoutMs: 10_000 });
      const waiter = settled(
        pool.acquire().then((held) => held.release()),
        1_000,
      );
      await sleep(20);
      await settled(pool.close({ timeoutMs: 5_000 }), 800);
      return (await waiter).is === 'pending' ? fails('never settled') : ok('settled');
    },
  },
  {
    id: 'N30',
    sentence: 'Closing ends only when all is back',
    async run(open) {
      const pool = open({}, { acquireTimeoutMs: 300 });
      const first = await pool.acquire();
      const low = settled(pool.acquire(), 600);
      await sleep(150);
      let held;
      const high = pool.acquire({ priority: 9 }).then((own) => (held = own));
      const highEnds = settled(high, 800);
      await sleep(50);
      let isClosed = false;
      void pool.close({ timeoutMs: 5_000 }).then(() => (isClosed = true));
      await low; // turned away at 300, by its timeout at the latest; the other waits until 450
      first.release();
      await highEnds;
      await sleep(400);
      if (isClosed && held !== undefined) return fails('ends with one still borrowed');
      held?.release();
      return (await comesAbout(() => isClosed, 1_000)) ? ok('when all is back') : fails('never ends');
    },
  },
  {
    id: 'N31',
    sentence: 'Closing ends although creates fail and somebody waits',
    async run(open) {
      let creates = 0;
      const create = async () => {
        creates += 1;
        await sleep(2);
        throw down();
      };
      const pool = open({ create }, { acquireTimeoutMs: 10_000 });
      void settled(pool.acquire(), 100);
      await sleep(50);
      const closing = await settled(pool.close({ timeoutMs: 500 }), 1_500);
      const before = creates;
      await sleep(300);
      if (closing.is === 'pending') return fails('never ends');
      return creates - before > 3 ? fails('goes on creating') : ok('ends');
    },
  },
  {
    id: 'N32',
    sentence: 'Closing twice at once ends alike',
    async run(open) {
      const pool = open();
      (await pool.acquire()).release();
      await sleep(10);
      const ends = await Promise.all([settled(pool.close(), 1_500), settled(pool.close(), 1_500)]);
      const seen = ends.map(({ is }) => is);
      return seen.every((is) => is === 'resolved') ? ok('both end') : fails(`the second is ${seen[1]}`);
    },
  },
];
