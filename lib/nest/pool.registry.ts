import { Injectable } from '@nestjs/common';
import {
  type CloseOptions,
  type CloseReport,
  type ConnectionPool,
  type PoolDefinition,
  PoolOptionsError,
  type PoolStats,
} from '../core/index.js';
import { checkClose, nearest } from '../core/option-rules.js';
import { KeyedPools, type KeyedPoolsOptions, type PoolTemplate } from './keyed/keyed-pools.js';
import { makePool, nestDefaults } from './made-pool.js';
import { checkCreateOptions, checkDefinition } from './module-option-checks.js';
import type { AnyPoolDefinition, PoolShutdown } from './pool-module-options.interface.js';
import type { PoolRegistryTypes } from './pool-registry-types.interface.js';

/** A pool of an application, with what it was made of. @publicApi */
export interface RegisteredPool {
  readonly name: string;
  // Which connection a pool holds is known where it is injected, not in a list of all of them.
  readonly pool: ConnectionPool<any>;
  readonly definition: AnyPoolDefinition;
  readonly shutdown: PoolShutdown;
  /** Whether the application did not boot without it. */
  readonly failOnStart: boolean;
  /** Whether the application's HTTP server lets go of its clients at shutdown, as far as this pool's module goes. */
  readonly releaseClients: boolean;
  /** Whether it was made by {@link PoolRegistry.create}, and can be removed; nobody has it injected. */
  readonly isRemovable: boolean;
}

/** What {@link PoolRegistry.create} may ask for. @publicApi */
export interface CreatePoolOptions {
  /** Default: `two-phase`. */
  readonly shutdown?: PoolShutdown;
}

/** Who sees to the pools of an application: starts them, logs what they tell, closes them. @internal */
export interface PoolKeeper {
  begin(entry: Pick<RegisteredPool, 'name' | 'pool' | 'definition'>): void;
}

/**
 * All pools of an application, by name.
 *
 * @publicApi
 */
@Injectable()
export class PoolRegistry {
  private readonly pools = new Map<string, RegisteredPool>();
  private readonly keyedPools = new Map<string, KeyedPools<any, any, any>>();
  /** Pools that were removed and are not closed yet. */
  private readonly departing = new Map<string, Promise<CloseReport>>();
  /** From the start of the application to its end. */
  private keeper: PoolKeeper | undefined;
  private hasEnded = false;
  private isLeaving = false;

  /**
   * Whether the application has begun to shut down. Its pools still serve, so that requests in flight are answered; readiness
   * is for sending requests elsewhere from now on.
   */
  get isShuttingDown(): boolean {
    return this.isLeaving;
  }

  /**
   * The pool of that name, of the type that {@link PoolRegistryTypes} declares for it.
   *
   * @throws {@link PoolOptionsError} naming the pools that there are
   */
  get<N extends keyof PoolRegistryTypes>(name: N): PoolRegistryTypes[N];
  get<P extends ConnectionPool<any> = ConnectionPool<any>>(name: string): P;
  get(name: string): ConnectionPool<any> {
    const found = this.pools.get(name);
    if (found === undefined) throw new PoolOptionsError(name, [`no pool of this name; there is ${this.names(name)}`]);
    return found.pool;
  }

  has(name: string): boolean {
    return this.pools.has(name);
  }

  /** In the order of their registration. Without those of {@link PoolRegistry.keyed}: one tenant is not the application. */
  list(): readonly RegisteredPool[] {
    return [...this.pools.values()];
  }

  /** A snapshot of every pool of {@link PoolRegistry.list}, by name. */
  stats(): Record<string, PoolStats> {
    return Object.fromEntries(this.list().map(({ name, pool }) => [name, pool.stats()]));
  }

  /**
   * Makes a pool while the application runs, and starts it. It is closed with the application, or by
   * {@link PoolRegistry.remove}.
   *
   * @throws {@link PoolOptionsError} if the name is taken, also by a pool that is being removed, if the definition is none, for
   *   options that cannot work, or if the application has ended
   */
  create<T, P extends ConnectionPool<T>>(
    name: string,
    definition: PoolDefinition<T, P>,
    options: CreatePoolOptions = {},
  ): P {
    this.refuseNewName(name);
    checkDefinition(name, definition);
    checkCreateOptions(name, options);
    const { shutdown = 'two-phase' } = options;
    const pool = makePool(name, definition);
    const traits = { shutdown, failOnStart: false, releaseClients: true, isRemovable: true };
    this.register({ name, pool, definition, ...traits });
    return pool;
  }

  /**
   * Takes a pool that {@link PoolRegistry.create} made out of the registry at once, and closes it.
   *
   * @returns when it is closed; rejects with {@link PoolOptionsError} for a wrong `timeoutMs`, for a pool that is not there, or that
   *   a module registered: those who have it injected would be left with a closed one
   */
  async remove(name: string, options: CloseOptions = {}): Promise<CloseReport> {
    const problems = checkClose(options);
    if (problems.length > 0) throw new PoolOptionsError(name, problems);
    const entry = this.pools.get(name);
    if (entry === undefined) throw new PoolOptionsError(name, [`no pool of this name; there is ${this.names(name)}`]);
    if (!entry.isRemovable) {
      throw new PoolOptionsError(name, [
        'a module registered this pool, and who has it injected would be left with a closed one; only pools of ' +
          'PoolRegistry.create can be removed',
      ]);
    }
    this.pools.delete(name);
    const closing = entry.pool.close(options).finally(() => this.departing.delete(name));
    this.departing.set(name, closing);
    return closing;
  }

  /**
   * A pool for each key, such as a tenant or a host: made by `template` on first use, closed when unused.
   *
   * @param name of all of them together; a pool's own name is `name/key`
   * @throws {@link PoolOptionsError} if the name is taken, for options that cannot work, or if the application has ended
   */
  keyed<T, P extends ConnectionPool<T> = ConnectionPool<T>, K extends string = string>(
    name: string,
    template: PoolTemplate<K, T, P>,
    options?: KeyedPoolsOptions,
  ): KeyedPools<T, P, K> {
    this.refuseNewName(name);
    const keyed = new KeyedPools<T, P, K>(name, template, {
      ...options,
      limits: nestDefaults(),
      onOpen: (pool, definition) => this.keeper?.begin({ name: pool.name, pool, definition }),
    });
    this.keyedPools.set(name, keyed);
    return keyed;
  }

  /** The pools by key, in the order of their registration. */
  listKeyed(): readonly KeyedPools<any, any, any>[] {
    return [...this.keyedPools.values()];
  }

  /**
   * Enters a pool; once the application has started (that of a module which is loaded lazily), it starts at once.
   *
   * @throws {@link PoolOptionsError} if the name is taken
   * @internal
   */
  register(entry: RegisteredPool): RegisteredPool {
    if (this.isTaken(entry.name)) throw new PoolOptionsError(entry.name, [TAKEN]);
    this.pools.set(entry.name, entry);
    this.keeper?.begin(entry);
    return entry;
  }

  /** From now on pools that are registered are started. @internal */
  opened(keeper: PoolKeeper): void {
    this.keeper = keeper;
  }

  /** The application begins to shut down. @internal */
  leaving(): void {
    this.isLeaving = true;
  }

  /** No more pools are made. @internal */
  ended(): void {
    this.hasEnded = true;
    this.keeper = undefined;
  }

  /** Ends with the pools that were being removed. @internal */
  async removed(): Promise<void> {
    await Promise.allSettled(this.departing.values());
  }

  private refuseNewName(name: string): void {
    if (typeof name !== 'string' || name === '') throw new PoolOptionsError('?', ['name: expected a text']);
    if (this.hasEnded) throw new PoolOptionsError(name, ['the application has ended; it makes no more pools']);
    if (this.departing.has(name)) {
      throw new PoolOptionsError(name, ['a pool of this name is still being removed; await PoolRegistry.remove first']);
    }
    if (this.isTaken(name)) throw new PoolOptionsError(name, [TAKEN]);
  }

  private isTaken(name: string): boolean {
    return this.pools.has(name) || this.keyedPools.has(name);
  }

  private names(missing: string): string {
    const names = [...this.pools.keys()];
    if (names.length === 0) return 'none (is PoolModule imported?)';
    return `${names.map((name) => `"${name}"`).join(', ')}${nearest(missing, names)}`;
  }
}

const TAKEN =
  'two pools of this name are registered; a name stands for one upstream in the whole application, so rename one, ' +
  'or register it once and import that module where it is needed';

/** Registries of the applications that run in this process. */
const running = new Set<PoolRegistry>();

/** @internal */
export function applicationStarted(registry: PoolRegistry): void {
  running.add(registry);
}

/** @internal */
export function applicationEnded(registry: PoolRegistry): void {
  running.delete(registry);
}

/** The registry of the one application that runs, if it is one: with two, a guess could lend the other one's pool. @internal */
export function onlyRegistry(): PoolRegistry | undefined {
  return running.size === 1 ? [...running][0] : undefined;
}
