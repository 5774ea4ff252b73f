import { type Failure, runSteps } from './episode.js';
import type { Step } from './steps.js';
import type { Setup } from './world.js';

/** A script that is not the shortest is better than a test that does not end. */
const LONGEST_MS = 20_000;

/** Leaves out of a failing run what it fails without: halves, quarters, … single steps, while the same rule fails. */
export async function shrink(setup: Setup, seed: number, steps: readonly Step[], first: Failure): Promise<Failure> {
  let kept = [...steps];
  let failure = first;
  const endsAt = performance.now() + LONGEST_MS;
  const hasTime = (): boolean => performance.now() < endsAt;
  for (let size = Math.ceil(kept.length / 2); size >= 1 && hasTime();) {
    let hasShrunk = false;
    for (let at = 0; at < kept.length && hasTime();) {
      const fewer = [...kept.slice(0, at), ...kept.slice(at + size)];
      const again = await replay(setup, seed, fewer);
      if (again !== undefined && kindOf(again) === kindOf(first)) {
        kept = fewer;
        failure = again;
        hasShrunk = true;
      } else at += size;
    }
    if (size === 1 && !hasShrunk) break;
    size = size === 1 ? 1 : Math.ceil(size / 2);
  }
  return failure;
}

async function replay(setup: Setup, seed: number, steps: readonly Step[]): Promise<Failure | undefined> {
  let at = 0;
  const { failure } = await runSteps(setup, seed, () => steps[at++]);
  return failure;
}

/** What failed, without the numbers of this one run. */
function kindOf({ violation }: Failure): string {
  return violation.split('; ')[0]!.replaceAll(/\d+/g, 'n');
}
