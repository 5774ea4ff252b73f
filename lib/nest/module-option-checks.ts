import { PoolOptionsError } from '../core/index.js';
import { checkGroup, oneOf, type Rule, yesOrNo } from '../core/option-rules.js';
import type { AnyPoolDefinition } from './pool-module-options.interface.js';

/** Definitions by name, checked. @internal */
export type Definitions = Readonly<Record<string, AnyPoolDefinition>>;

const anything: Rule = () => undefined;
const callable =
  (what: string): Rule =>
  (value) =>
    typeof value === 'function' ? undefined : what;
const shutdown = oneOf('two-phase', 'close-on-destroy');

const MAKERS = { useFactory: callable('a function'), useClass: callable('a class'), useExisting: anything };

/** The options of each form, besides those that all have. */
const OWN = {
  forRoot: { pools: anything },
  forRootAsync: { pools: anything, imports: anything, extraProviders: anything, inject: anything, ...MAKERS },
  forFeature: { name: anything, pool: anything },
  forFeatureAsync: { name: anything, imports: anything, extraProviders: anything, inject: anything, ...MAKERS },
} as const;

/**
 * What the compiler checks for those who have one. A misspelt option would else be one that is not there, in silence.
 *
 * @throws {@link PoolOptionsError}
 * @internal
 */
export function checkOptions(form: keyof typeof OWN, names: readonly string[], options: object): void {
  const rules: Record<string, Rule> = {
    ...OWN[form],
    isGlobal: yesOrNo,
    releaseClients: yesOrNo,
    shutdown,
    failOnStart: (value) => {
      if (typeof value === 'boolean') return undefined;
      const isKnown = Array.isArray(value) && value.every((name) => names.includes(name as string));
      return isKnown ? undefined : `true, false, or some of ${list(names)}`;
    },
  };
  const problems = checkGroup(rules, options);
  const makers = Object.keys(MAKERS).filter((key) => (options as Record<string, unknown>)?.[key] !== undefined);
  if ('useFactory' in OWN[form] && makers.length !== 1) {
    const what = makers.length === 0 ? 'none of them is there' : `${makers.join(' and ')} are there`;
    problems.push(`give one of ${Object.keys(MAKERS).join(', ')}; ${what}`);
  }
  if (problems.length === 0) return;
  throw new PoolOptionsError(
    names.join(', ') || '?',
    problems.map((problem) => `PoolModule.${form}: ${problem}`),
  );
}

/**
 * @throws {@link PoolOptionsError}
 * @internal
 */
export function checkNames(names: unknown): readonly string[] {
  const problems: string[] = [];
  if (!Array.isArray(names) || names.length === 0)
    problems.push("pools: expected the pools' names, as in ['embeddings']");
  else {
    if (names.some((name) => typeof name !== 'string' || name === ''))
      problems.push('pools: every name must be a text');
    if (new Set(names).size < names.length) problems.push('pools: the same name stands there twice');
  }
  if (problems.length > 0) throw new PoolOptionsError('?', problems);
  return names as string[];
}

/**
 * What the compiler checks for those who have one; a factory in JavaScript, or one that casts, is checked here.
 *
 * @throws {@link PoolOptionsError}
 * @internal
 */
export function checkDefinitions(names: readonly string[], made: unknown): Definitions {
  const definitions = (typeof made === 'object' && made !== null ? made : {}) as Record<string, unknown>;
  const problems: string[] = [];
  if (names.length === 0) problems.push('pools: expected at least one, as in { embeddings: httpPool({ … }) }');
  const missing = names.filter((name) => definitions[name] === undefined);
  const extra = Object.keys(definitions).filter((name) => !names.includes(name));
  if (missing.length > 0) problems.push(`no definition came back for ${list(missing)}; pools names ${list(names)}`);
  if (extra.length > 0) problems.push(`a definition came back for ${list(extra)}, which pools does not name`);
  for (const name of names) {
    if (definitions[name] !== undefined && !isDefinition(definitions[name])) problems.push(notDefinition(name));
  }
  if (problems.length > 0) throw new PoolOptionsError(names.join(', '), problems);
  return definitions as Definitions;
}

/**
 * The options of `PoolRegistry.create`.
 *
 * @throws {@link PoolOptionsError}
 * @internal
 */
export function checkCreateOptions(name: string, options: object): void {
  const problems = checkGroup({ shutdown }, options);
  if (problems.length > 0) throw new PoolOptionsError(name, problems);
}

/**
 * @throws {@link PoolOptionsError}
 * @internal
 */
export function checkDefinition(name: string, value: unknown): asserts value is AnyPoolDefinition {
  if (!isDefinition(value)) throw new PoolOptionsError(name, [notDefinition(name)]);
}

/** @internal */
export function isDefinition(value: unknown): value is AnyPoolDefinition {
  const { factory, createPool, describe } = (value ?? {}) as Partial<AnyPoolDefinition>;
  return typeof factory === 'object' && typeof createPool === 'function' && typeof describe === 'function';
}

function notDefinition(name: string): string {
  return `${name}: expected what httpPool(…), customPool(…) or another kind returns`;
}

function list(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(', ');
}
