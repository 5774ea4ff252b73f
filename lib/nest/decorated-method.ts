import 'reflect-metadata';
import { Readable } from 'node:stream';
import { isObservable, Observable } from 'rxjs';
import { checkGroup, type Rule } from '../core/option-rules.js';
import { isAsyncIterable, isNodeStream } from './live-result.js';
import type { PooledResult } from './pooled-method.js';

// A method of whatever class, whose parameters only its callers know.
type AnyMethod = (...args: any[]) => unknown;

/**
 * The method under a decorator, for errors that say where, and what to do.
 *
 * @internal
 */
export class DecoratedMethod {
  /** `@UsePool('documents') on Search.find()` */
  readonly title: string;

  constructor(
    readonly target: object,
    readonly key: string | symbol,
    decorator: string,
  ) {
    const owner = typeof target === 'function' ? target.name : target.constructor.name;
    this.title = `${decorator} on ${owner}.${String(key)}()`;
  }

  error(what: string): TypeError {
    return new TypeError(`${this.title}: ${what}`);
  }

  /** The error for a result that is none of the kind that the method was taken for. */
  unexpected(result: unknown, taken: PooledResult): TypeError {
    const actual = resultOf(result);
    if (actual === undefined) return this.error(SYNC);
    return this.error(
      `it returned ${NAMES[actual]} where ${NAMES[taken]} was expected; nothing told so before the call, so say it: ` +
        `{ returns: '${actual}' }`,
    );
  }

  /** What the method will give back, by how it is written and declared; refuses one that gives back a mere value. */
  resultKind(method: AnyMethod): PooledResult {
    const written = method.constructor.name;
    if (written === 'AsyncFunction') return 'promise';
    if (written === 'AsyncGeneratorFunction') return 'iterable';
    if (written === 'GeneratorFunction') throw this.error(SYNC);
    // Without a declared type, or with one that is no class, only the call will tell.
    const declared = Reflect.getMetadata('design:returntype', this.target, this.key) as unknown;
    if (typeof declared !== 'function' || declared === Object) return 'promise';
    const { prototype } = declared as { prototype: Partial<Promise<unknown>> };
    if (typeof prototype?.then === 'function') return 'promise';
    // Just these two, for what comes back is made here; a method that promises a Subject or an fs.ReadStream must be async.
    if (declared.name === Observable.name) return 'observable';
    if (declared === Readable) return 'stream';
    throw this.error(`${SYNC}. It is declared to return ${declared.name}`);
  }
}

/**
 * Refuses a decorator's options that there are not, and values that cannot work: what the compiler does for those who have one.
 *
 * @throws TypeError
 * @internal
 */
export function checkDecorator(title: string, rules: Readonly<Record<string, Rule>>, options: object): void {
  const problems = checkGroup(rules, options);
  if (problems.length > 0) throw new TypeError(`${title}: ${problems.join('; ')}`);
}

const SYNC =
  'it must return a promise, an async iterable, an Observable or a stream: a lease ends when the work does, and a sync ' +
  'method cannot say when that is. Make it async';

const NAMES: Readonly<Record<PooledResult, string>> = {
  promise: 'a promise',
  iterable: 'an async iterable',
  observable: 'an Observable',
  stream: 'a stream',
};

function resultOf(value: unknown): PooledResult | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (typeof (value as Partial<Promise<unknown>>).then === 'function') return 'promise';
  if (isObservable(value)) return 'observable';
  if (isNodeStream(value)) return 'stream';
  return isAsyncIterable(value) ? 'iterable' : undefined;
}
