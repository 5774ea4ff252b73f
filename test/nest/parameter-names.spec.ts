import { runInNewContext } from 'node:vm';
import { parameterNames } from '../../lib/nest/parameter-names.js';

describe('the names of parameters', () => {
  it.each<[string, (string | undefined)[]]>([
    ['function named(one, _two, $three) {}', ['one', '_two', '$three']],
    ['({ async method(one, signal) {} }).method', ['one', 'signal']],
    ['async function* each(one) {}', ['one']],
    ['() => undefined', []],
    ["(one = [1, { a: 'b, c)' }], two = `(${1},`, three = (() => ')')()) => one", ['one', 'two', 'three']],
    ['({ a }, [b], ...rest) => rest', [undefined, undefined, 'rest']],
    // As a compiler leaves them that keeps comments.
    ['function commented(one /* , two */, three // four)\n) {}', ['one', 'three']],
  ])('are found in %s', (source, names) => {
    const method = runInNewContext(`(${source})`) as () => unknown;
    expect(parameterNames(method)).toEqual(names);
  });
});
