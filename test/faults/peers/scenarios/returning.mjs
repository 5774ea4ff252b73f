import { EventEmitter } from 'node:events';
import { comesAbout, fails, ok, settled, sleep } from '../seeing.mjs';

/** What a call that the pool may refuse does, as users make it: not awaited. */
function attempt(call) {
  try {
    call();
  } catch {
    // An error for the one who did it: that is a right answer.
  }
}

export default [
  {
    id: 'N11',
    sentence: 'A destroy that throws in the background is reported',
    needs: ['destroyHook'],
    async run(open) {
      let calls = 0;
      const destroy = () => {
        calls += 1;
        throw new Error('half closed');
      };
      const pool = open({ destroy }, { idleMs: 30 });
      (await pool.acquire()).release();
      return (await comesAbout(() => calls > 0, 1_500)) ? ok('the process lives') : fails('never closed');
    },
  },
  {
    id: 'N13',
    sentence: 'Connections that are slow to close count against the maximum',
    async run(open) {
      let [alive, most] = [0, 0];
      const create = async () => {
        most = Math.max(most, (alive += 1));
        return {};
      };
      const destroy = async () => {
        await sleep(300);
        alive -= 1;
      };
      const pool = open({ create, destroy }, { max: 2, acquireTimeoutMs: 5_000 });
      const borrow = async () => {
        for (let round = 0; round < 4; round += 1) (await pool.acquire()).discard();
      };
      await settled(Promise.all([borrow(), borrow()]), 3_000);
      return most <= 2 ? ok('two at most') : fails('more than two alive');
    },
  },
  {
    id: 'N20',
    sentence: 'A second release does no harm',
    async run(open) {
      const pool = open();
      const held = await pool.acquire();
      attempt(held.release);
      attempt(held.release);
      await sleep(50);
      return (await settled(pool.acquire(), 500)).is === 'resolved' ? ok('no harm') : fails('the place is lost');
    },
  },
  {
    id: 'N21',
    sentence: 'A stale release does not lend what another borrower holds',
    async run(open) {
      const pool = open();
      const a = await pool.acquire();
      a.release();
      await sleep(10);
      const b = await pool.acquire();
      attempt(a.release);
      const c = await settled(pool.acquire(), 700);
      return c.is === 'resolved' && c.value.resource === b.resource ? fails('two borrowers share it') : ok('refused');
    },
  },
  {
    id: 'N22',
    sentence: 'A release after a destroy brings nothing back',
    needs: ['destroy'],
    async run(open) {
      const pool = open({ destroy: () => sleep(50) }, { acquireTimeoutMs: 300 });
      const held = await pool.acquire();
      attempt(held.destroy);
      attempt(held.release);
      const next = await settled(pool.acquire(), 700);
      await sleep(50);
      if (next.value?.resource === held.resource) return fails('the destroyed one is lent');
      return next.is === 'resolved' ? ok('replaced') : fails('the place is lost');
    },
  },
  {
    id: 'N23',
    sentence: 'A connection destroyed twice is closed once',
    needs: ['destroy'],
    async run(open) {
      let calls = 0;
      const destroy = async () => {
        calls += 1;
        await sleep(20);
      };
      const held = await open({ destroy }).acquire();
      attempt(held.destroy);
      attempt(held.destroy);
      await sleep(80);
      return calls === 1 ? ok('once') : fails('closed twice');
    },
  },
  {
    id: 'N24',
    sentence: 'Scoped use gives back after a throw and after a plain value',
    needs: ['use'],
    async run(open) {
      const works = [
        () => 42,
        () => {
          throw new Error('mine');
        },
      ];
      for (const work of works) {
        const pool = open({}, { acquireTimeoutMs: 300 });
        await settled(
          Promise.resolve().then(() => pool.use(work)),
          500,
        );
        if ((await settled(pool.acquire(), 600)).is !== 'resolved') return fails('not given back');
      }
      return ok('given back');
    },
  },
  {
    id: 'N33',
    sentence: 'A connection that dies idle can be reported and is never lent',
    async run(open) {
      const pool = open();
      if (pool.reportDead === undefined) return fails('nobody to tell');
      const first = await pool.acquire();
      first.release();
      await sleep(10);
      await settled(
        Promise.resolve().then(() => pool.reportDead(first.resource)),
        100,
      );
      await sleep(10);
      const next = await settled(pool.acquire(), 700);
      return next.is === 'resolved' && next.value.resource !== first.resource ? ok('replaced') : fails('lent dead');
    },
  },
  {
    id: 'N34',
    sentence: 'An idle connection whose `error` nobody hears does not end the process',
    needs: ['idleErrors'],
    async run(open) {
      const create = async (context) => {
        const socket = new EventEmitter();
        if (context !== undefined) socket.on('error', context.broken);
        return socket;
      };
      const pool = open({ create }, { isUnwatched: true });
      const first = await pool.acquire();
      const { resource } = first;
      first.release();
      await sleep(10);
      if (resource.listenerCount('error') > 0) resource.emit('error', new Error('dead'));
      else pool.reportDead(resource);
      await sleep(10);
      return ok('the process lives');
    },
  },
  {
    id: 'N36',
    sentence: 'An idle minimum is kept, not closed and opened again',
    needs: ['minimum'],
    async run(open) {
      let [creates, destroys] = [0, 0];
      const create = async () => {
        creates += 1;
        return {};
      };
      const pool = open({ create, destroy: () => void (destroys += 1) }, { max: 3, min: 2, idleMs: 40 });
      pool.start();
      const held = [await pool.acquire(), await pool.acquire(), await pool.acquire()];
      for (const one of held) one.release();
      await sleep(1_000);
      return creates <= 4 && destroys <= 2 ? ok('kept') : fails('opened and closed without end');
    },
  },
  {
    id: 'N37',
    sentence: 'A system clock that leaps by an hour ends no connection',
    async run(open) {
      const now = Date.now;
      for (const leap of [3_600_000, -3_600_000]) {
        let destroys = 0;
        Date.now = now;
        const pool = open({ destroy: () => void (destroys += 1) }, { idleMs: 60_000 });
        (await pool.acquire()).release();
        Date.now = () => now() + leap;
        // Two of them look once a second at the most.
        await sleep(1_300);
        if (destroys > 0) return fails(`${leap > 0 ? '+' : '−'}1 h closes all`);
      }
      return ok('no effect');
    },
  },
  {
    id: 'N53',
    sentence: 'Connections opened together do not end together',
    needs: ['lifetime'],
    async run(open) {
      const ends = [];
      const pool = open({ destroy: () => void ends.push(performance.now()) }, { max: 20, lifetimeMs: 1_000 });
      const held = await Promise.all(Array.from({ length: 20 }, () => pool.acquire()));
      for (const one of held) one.release();
      if (!(await comesAbout(() => ends.length === 20, 2_500))) return fails('they do not end');
      return Math.max(...ends) - Math.min(...ends) > 40 ? ok('spread') : fails('all at one moment');
    },
  },
];
