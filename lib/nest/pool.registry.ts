import { Injectable } from '@nestjs/common';
import { type ConnectionPool, PoolOptionsError, type PoolStats } from '../core/index.js';
import type { AnyPoolDefinition, PoolShutdown } from './pool-module-options.interface.js';

/** A pool of an application, with what it was made of. @publicApi */
export interface RegisteredPool {
  readonly name: string;
  // Which connection a pool holds is known where it is injected, not in a list of all of them.
  readonly pool: ConnectionPool<any>;
  readonly definition: AnyPoolDefinition;
  readonly shutdown: PoolShutdown;
}

/**
 * All pools of an application, by name.
 *
 * @publicApi
 */
@Injectable()
export class PoolRegistry {
  private readonly pools = new Map<string, RegisteredPool>();

  /**
   * The pool of that name.
   *
   * @throws {@link PoolOptionsError} naming the pools that there are
   */
  get<P extends ConnectionPool<any> = ConnectionPool<any>>(name: string): P {
    const found = this.pools.get(name);
    if (found === undefined) throw new PoolOptionsError(name, [`no pool of this name; there is ${this.names()}`]);
    return found.pool as P;
  }

  has(name: string): boolean {
    return this.pools.has(name);
  }

  /** In the order of their registration. */
  list(): readonly RegisteredPool[] {
    return [...this.pools.values()];
  }

  /** A snapshot of every pool, by name. */
  stats(): Record<string, PoolStats> {
    return Object.fromEntries(this.list().map(({ name, pool }) => [name, pool.stats()]));
  }

  /**
   * Enters a pool.
   *
   * @throws {@link PoolOptionsError} if the name is taken
   * @internal
   */
  register(entry: RegisteredPool): RegisteredPool {
    if (this.pools.has(entry.name)) {
      throw new PoolOptionsError(entry.name, [
        'two pools of this name are registered; a name stands for one upstream in the whole application, so rename one, ' +
          'or register it once and import that module where it is needed',
      ]);
    }
    this.pools.set(entry.name, entry);
    return entry;
  }

  private names(): string {
    return this.pools.size === 0 ? 'none (is PoolModule imported?)' : [...this.pools.keys()].map(quote).join(', ');
  }
}

function quote(name: string): string {
  return `"${name}"`;
}

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
