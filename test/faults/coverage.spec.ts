import { readdirSync, readFileSync } from 'node:fs';

/** Cases of §4 that have no test by their number, and why. */
const ELSEWHERE: Record<string, string> = {
  S01: "test/core/options.spec.ts: 'have the documented defaults'",
  S02: "test/core/options.spec.ts: 'are refused all at once, and without their values', and the tables before it",
  S11: 'there is no minimum of idle ones here, only of the total',
  S12: 'there is no minimum of idle ones here, only of the total',
  S19: 'none is opened by hand here; X13 has the close during a create',
  O09: 'no call takes all idle ones at once, so there are no generations in the stack',
  L01: 'a lease is the only thing that can be given back; there is no release(connection)',
  L05: 'a lease knows its own state; there is no isBorrowed(connection). S08 has the counts',
  L09: 'no release leaves the idle time as it was',
  F01: 'test/model/random-steps-1.spec.ts',
  F02: 'test/model/random-steps-1.spec.ts',
  F03: 'no call takes all idle ones at once',
};

/** How many cases each group of §4 has. */
const GROUPS = 'S20 O11 T16 C20 V12 R09 D08 L10 A12 X20 I19 E11 Z05 F12'.split(' ');

const numbered = (letter: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${letter}${String(index + 1).padStart(2, '0')}`);

/** The titles of the tests of a folder, with their files. */
function titlesIn(folder: string): string[] {
  const url = new URL(`../${folder}/`, import.meta.url);
  const specs = readdirSync(url).filter((name) => name.endsWith('.spec.ts') && name !== 'coverage.spec.ts');
  return specs.flatMap((name) => readFileSync(new URL(name, url), 'utf8').match(/(['"])(?:(?!\1).)*\1/g) ?? []);
}

const faults = titlesIn('faults');
const all = [...faults, ...titlesIn('core')].join('\n');
const isNamed = (id: string): boolean => new RegExp(`\\b${id}\\b`).test(all);

describe('the fault suite', () => {
  it('has a test for every fault that the research note numbers', () => {
    const missing = [...numbered('N', 53), 'N35b'].filter(
      (id) => !faults.some((title) => title.slice(1).startsWith(`${id}: `)),
    );
    expect(missing).toEqual([]);
  });

  it('puts every one of them to the peers too, but for the two that are questions of speed', () => {
    const url = new URL('peers/scenarios/', import.meta.url);
    const text = readdirSync(url)
      .map((name) => readFileSync(new URL(name, url), 'utf8'))
      .join('\n');
    const missing = [...numbered('N', 53), 'N35b'].filter((id) => !text.includes(`id: '${id}'`));
    expect(missing).toEqual(['N38', 'N39']);
  });

  it('numbers what no other pool covers without a gap', () => {
    const own = new Set(faults.flatMap((title) => /^.(P\d\d): /.exec(title)?.[1] ?? []));
    expect([...own].toSorted()).toEqual(numbered('P', own.size));
  });

  it('has a test, or a reason, for every case of the test suites of other pools', () => {
    const cases = GROUPS.flatMap((group) => numbered(group.slice(0, 1), Number(group.slice(1))));
    expect(cases).toHaveLength(185);
    expect(cases.filter((id) => !isNamed(id) && !(id in ELSEWHERE))).toEqual([]);
    expect(Object.keys(ELSEWHERE).filter(isNamed)).toEqual([]);
  });
});
