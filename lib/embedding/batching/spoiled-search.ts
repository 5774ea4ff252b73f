import { SpoiledOdds } from './spoiled-odds.js';

/**
 * Takes a batch apart that failed because of one of its texts at least: the good ones are embedded, each once, and the
 * spoiled ones are named, both in the batch's order.
 *
 * What follows without asking is not asked: where the first part of a spoiled set is good, the rest is spoiled; the last one
 * left of it is the spoiled text. Where the first part is spoiled, nothing is known of the rest any more.
 *
 * k spoiled of n cost at most `k * (ceil(log2(n / k)) + 2) + 5` calls, up to n = 256.
 *
 * @param places of the batch that has just failed
 * @param error what it failed by
 * @param attempt embeds some of them; gives the error where these are spoiled too, and rejects where the search is to end
 * @param onSpoiled is told every spoiled text, with the last error of a set that it was known to spoil
 * @throws what `attempt` rejects with
 * @internal
 */
export async function searchSpoiled<E>(
  places: readonly number[],
  error: E,
  attempt: (places: readonly number[]) => Promise<E | undefined>,
  onSpoiled: (place: number, error: E) => void,
): Promise<void> {
  const { length } = places;
  const odds = new SpoiledOdds(length);
  let found = 0;
  // What lies before it is settled.
  let from = 0;
  // So many from there on are known to hold a spoiled one; 0: of none is anything known.
  let suspects = length;
  let lastError = error;
  while (from < length) {
    if (suspects === 1) {
      onSpoiled(places[from]!, lastError);
      found += 1;
      from += 1;
      suspects = 0;
      continue;
    }
    const size = odds.ask(found, length - from, suspects);
    const problem = await attempt(places.slice(from, from + size));
    if (problem === undefined) {
      from += size;
      if (suspects > 0) suspects -= size;
    } else {
      lastError = problem;
      suspects = size;
    }
  }
}

/**
 * For a request that is too large as a whole, whose texts are not to blame: two halves, in order. `undefined` for a single
 * text, which is too large by itself.
 *
 * @internal
 */
export function splitInHalf(
  places: readonly number[],
): readonly [first: readonly number[], second: readonly number[]] | undefined {
  if (places.length < 2) return undefined;
  const middle = (places.length + 1) >> 1;
  return [places.slice(0, middle), places.slice(middle)];
}
