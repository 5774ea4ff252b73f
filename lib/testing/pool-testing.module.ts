import { type DynamicModule, Module } from '@nestjs/common';
import { type ConnectionPool, customPool, PoolOptionsError } from '../core/index.js';
import { shapeOf } from '../core/option-rules.js';
import type { AnyPoolDefinition } from '../nest/pool-module-options.interface.js';
import { isDefinition } from '../nest/module-option-checks.js';
import { PoolModule } from '../nest/pool.module.js';

/** Options of `PoolTestingModule.forRoot`. @publicApi */
export interface PoolTestingModuleOptions {
  /** By name a pool, which is used as it is, or a definition, of which one is made. */
  // Which connection a pool holds is known where it is injected, not in a list of all of them.
  readonly pools: Readonly<Record<string, ConnectionPool<any> | AnyPoolDefinition>>;
}

/**
 * Pools of a test in the place of an application's: everything that `PoolModule` gives, from pools that are there already.
 *
 * ```ts
 * const documents = createFakePool({ query: async () => ['a row'] });
 * const testing = await Test.createTestingModule({
 *   imports: [PoolTestingModule.forRoot({ pools: { documents } })],
 *   providers: [DocumentsService],
 * }).compile();
 * ```
 *
 * `testing.close()` closes them.
 *
 * @publicApi
 */
@Module({})
export class PoolTestingModule {
  /**
   * @throws {@link PoolOptionsError} naming every value that is no pool and no definition
   */
  static forRoot(options: PoolTestingModuleOptions): DynamicModule {
    const entries = Object.entries(options?.pools ?? {});
    const problems = entries.flatMap(([name, value]) => problemOf(name, value) ?? []);
    if (entries.length === 0) {
      problems.push('pools: expected at least one, as in { documents: createFakePool(connection) }');
    }
    if (problems.length > 0) throw new PoolOptionsError(entries.map(([name]) => name).join(', ') || '?', problems);
    const definitions = entries.map(([name, value]) => [name, isPool(value) ? definitionOf(value) : value] as const);
    return {
      module: PoolTestingModule,
      imports: [PoolModule.forRoot({ pools: Object.fromEntries(definitions) as Record<string, AnyPoolDefinition> })],
    };
  }
}

function problemOf(name: string, value: unknown): string | undefined {
  if (!isPool(value)) {
    if (isDefinition(value)) return undefined;
    return (
      `${name}: expected a pool, or what httpPool(…) or another kind returns, got ${shapeOf(value)}; ` +
      'wrap it, as in createFakePool(connection)'
    );
  }
  if (value.state !== 'closed') return undefined;
  return `${name}: this pool is closed, as an application leaves its pools; make a new one for each test`;
}

/** By what it can do: a test runner that resets its modules has several copies of one class. */
function isPool(value: unknown): value is ConnectionPool<any> {
  const { acquire, use, stats, close } = (value ?? {}) as Partial<ConnectionPool<unknown>>;
  return [acquire, use, stats, close].every((method) => typeof method === 'function');
}

/** The pool stands already: nothing is made of its factory. */
function definitionOf(pool: ConnectionPool<any>): AnyPoolDefinition {
  const create = (): never => {
    throw new Error(`pool "${pool.name}" was made by the test`);
  };
  return { ...customPool({ factory: { create }, description: "a test's pool" }), createPool: () => pool };
}
