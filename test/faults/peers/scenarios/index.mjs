import checking from './checking.mjs';
import closing from './closing.mjs';
import creating from './creating.mjs';
import returning from './returning.mjs';
import waiting from './waiting.mjs';

/** N38 and N39 are not here: they are questions of speed, for the benchmark. */
export const scenarios = [...creating, ...checking, ...returning, ...closing, ...waiting].toSorted((a, b) =>
  a.id.localeCompare(b.id),
);
