import { AsyncLocalStorage } from 'node:async_hooks';
import { comesAbout, down, fails, ok, partial, settled, sleep, tryCall } from '../seeing.mjs';

const never = () => new Promise(() => undefined);

export default [
  {
    id: 'N01',
    sentence: 'A create that never settles costs one deadline, not a place',
    async run(open) {
      let calls = 0;
      const create = () => ((calls += 1) === 1 ? never() : Promise.resolve({}));
      const pool = open({ create }, { createTimeoutMs: 200, acquireTimeoutMs: 300 });
      const first = await settled(pool.acquire(), 900);
      if (first.is === 'pending') return fails('the acquire hangs past its own deadline');
      const second = await settled(pool.acquire(), 900);
      return second.is === 'resolved' || first.is === 'resolved'
        ? ok('the place came back')
        : fails('the place is lost');
    },
  },
  {
    id: 'N03',
    sentence: 'Creates that fail at once leave the event loop alive',
    limitMs: 2_500,
    async run(open) {
      let [creates, ticks] = [0, 0];
      const create = () => {
        creates += 1;
        return Promise.reject(down());
      };
      const ticking = setInterval(() => (ticks += 1), 5);
      const pool = open({ create }, { acquireTimeoutMs: 100 });
      await settled(pool.acquire(), 300);
      await sleep(200);
      clearInterval(ticking);
      return ticks > 10 && creates < 1_000 ? ok('timers ran') : fails('creates crowd timers out');
    },
  },
  {
    id: 'N04',
    sentence: 'Creates that fail after I/O are bounded, and the waiters are told',
    async run(open) {
      let creates = 0;
      const create = async () => {
        creates += 1;
        await new Promise((resolve) => setImmediate(resolve));
        throw down();
      };
      const pool = open({ create }, { max: 10, acquireTimeoutMs: 5_000 });
      const waiters = Array.from({ length: 100 }, () => settled(pool.acquire(), 1_000));
      const told = (await Promise.all(waiters)).filter(({ is }) => is === 'rejected').length;
      if (creates > 1_000) return fails('thousands of creates in a second');
      return told === 100 ? ok('all were told') : partial('few creates, but nobody is told');
    },
  },
  {
    id: 'N05',
    sentence: "The caller sees the create's own error",
    async run(open) {
      const mine = down();
      const { error } = await settled(
        open({ create: () => sleep(2).then(() => Promise.reject(mine)) }).acquire(),
        1_000,
      );
      if (error === mine || error?.cause === mine) return ok('the same object');
      return error?.code === mine.code ? partial('its code') : fails('a bare timeout');
    },
  },
  {
    id: 'N06',
    sentence: 'A create that throws is a rejection, and the next acquire is served',
    async run(open) {
      let calls = 0;
      const create = () => {
        if ((calls += 1) === 1) throw down();
        return Promise.resolve({});
      };
      const pool = open({ create });
      const first = tryCall(() => pool.acquire());
      await settled(first.promise, 600);
      const second = tryCall(() => pool.acquire());
      const { is } = await settled(second.promise, 600);
      if (is !== 'resolved' && first.thrown === undefined) {
        // Where it was retried, the first one holds the only place.
        return (await settled(first.promise, 10)).is === 'resolved' ? ok('tried again') : fails('the place is lost');
      }
      if (first.thrown !== undefined) return fails('thrown out of acquire()');
      return ok('rejected');
    },
  },
  {
    id: 'N07',
    sentence: 'Creates that throw do not harm the constructor of a pool with a minimum',
    async run(open) {
      const create = () => {
        throw down();
      };
      const opened = tryCall(() => {
        const pool = open({ create }, { min: 1 });
        pool.start();
      });
      opened.promise.catch(() => undefined);
      await sleep(50);
      return opened.thrown === undefined ? ok('constructed') : fails('the constructor throws');
    },
  },
  {
    id: 'N08',
    sentence: 'A create that yields undefined is an error',
    needs: ['yields'],
    async run(open) {
      const { is, error } = await settled(open({ create: () => Promise.resolve(undefined) }).acquire(), 1_000);
      if (is === 'resolved') return fails('undefined is lent');
      return /timed? ?out/i.test(`${error?.name} ${error?.message}`) ? partial('a timeout') : ok('an error');
    },
  },
  {
    id: 'N09',
    sentence: 'A create that rejects without a reason is an error',
    needs: ['yields'],
    async run(open) {
      const { is, error } = await settled(
        open({ create: () => sleep(2).then(() => Promise.reject()) }).acquire(),
        1_000,
      );
      if (is === 'resolved') return fails('undefined is lent');
      if (!(error instanceof Error)) return partial('rejects with undefined');
      return /timed? ?out/i.test(`${error.name} ${error.message}`) ? partial('a timeout') : ok('an error');
    },
  },
  {
    id: 'N10',
    sentence: 'A create that yields the same object twice is refused',
    needs: ['yields'],
    async run(open) {
      const only = {};
      const pool = open({ create: async () => only }, { max: 2 });
      await pool.acquire();
      const second = await settled(pool.acquire(), 1_000);
      return second.is === 'resolved' ? fails('two borrowers share it') : ok('refused');
    },
  },
  {
    id: 'N35',
    sentence: 'A minimum whose first fill fails is tried again',
    needs: ['minimum'],
    async run(open) {
      let calls = 0;
      const create = () => ((calls += 1) <= 2 ? Promise.reject(down()) : Promise.resolve({}));
      const pool = open({ create }, { max: 4, min: 2 });
      pool.start();
      return (await comesAbout(() => pool.idle() >= 2, 1_500)) ? ok('filled') : fails('stays empty');
    },
  },
  {
    id: 'N35b',
    sentence: 'A minimum that was destroyed is filled again without traffic',
    needs: ['minimum'],
    async run(open) {
      const pool = open({}, { max: 4, min: 2 });
      pool.start();
      if (!(await comesAbout(() => pool.idle() >= 2, 500))) return fails('never fills its minimum');
      const held = [await pool.acquire(), await pool.acquire()];
      await sleep(20);
      for (const one of held) one.discard();
      await sleep(20);
      return (await comesAbout(() => pool.idle() >= 2, 1_000)) ? ok('filled') : fails('stays below');
    },
  },
  {
    id: 'N45',
    sentence: 'A late connection that will not close is reported, not thrown',
    needs: ['createTimeout'],
    async run(open) {
      let calls = 0;
      const create = async () => {
        await sleep((calls += 1) === 1 ? 150 : 5);
        return {};
      };
      const pool = open({ create, destroy: () => Promise.reject(new Error('half closed')) }, { createTimeoutMs: 50 });
      await settled(pool.acquire(), 300);
      await sleep(200);
      return ok('reported');
    },
  },
  {
    id: 'N47',
    sentence: "Creates run outside of the request's async context",
    async run(open) {
      const request = new AsyncLocalStorage();
      let seen = 'nothing';
      const create = async () => {
        seen = request.getStore();
        return {};
      };
      const pool = open({ create });
      await request.run('a request', () => pool.acquire());
      return seen === undefined ? ok('outside') : fails('the connection keeps the request');
    },
  },
  {
    id: 'N52',
    sentence: 'A burst of 500 acquires does not open 100 connections at once',
    async run(open) {
      let [now, most] = [0, 0];
      const create = async () => {
        most = Math.max(most, (now += 1));
        await sleep(20);
        now -= 1;
        return {};
      };
      const pool = open({ create }, { max: 100, acquireTimeoutMs: 5_000 });
      for (let index = 0; index < 500; index += 1) pool.onAcquired((held) => held.release());
      await sleep(200);
      return most <= 50 ? ok('a few at a time') : fails('100 at once');
    },
  },
];
