import TestSequencer from '@jest/test-sequencer';

/**
 * The longest files, in the order in which they are best begun. The model allocates much, and slows down behind a heap that
 * other files have filled; the files that wait for processes fill the gaps that it leaves.
 */
const HEAVIEST = [
  /\/test\/model\//,
  /\.e2e\.spec\.ts$/,
  /\/test\/(types|custom|faults)\//,
  /\/test\/(http|postgres)\//,
];

/** Begins with the longest files, on a fresh machine too, where Jest does not know them yet. */
export default class HeaviestFirst extends TestSequencer {
  sort(tests) {
    const byHabit = super.sort(tests);
    return byHabit.toSorted((one, other) => rank(one.path) - rank(other.path));
  }
}

function rank(path) {
  const index = HEAVIEST.findIndex((pattern) => pattern.test(path));
  return index < 0 ? HEAVIEST.length : index;
}
