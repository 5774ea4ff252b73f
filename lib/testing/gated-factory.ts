import type { ConnectionFactory, CreateContext, HookContext } from '../core/index.js';

/** The hooks that a {@link GatedFactory} can hold at a gate. @publicApi */
export type GatedHook = 'create' | 'isHealthy' | 'reset' | 'destroy';

/** A connection of a {@link GatedFactory}. @publicApi */
export interface GatedConnection {
  readonly id: number;
  /** What the pool passed to the create that made it. */
  readonly context: CreateContext;
}

/** A hook's call that waits at its gate. @publicApi */
export interface GatedCall {
  readonly hook: GatedHook;
  readonly connection: GatedConnection | undefined;
  readonly context: HookContext;
  /** Lets it succeed: a create yields a connection, a check the answer given (default: healthy). */
  pass(answer?: unknown): void;
  fail(error: unknown): void;
}

/**
 * A factory under a test's command: hooks pass at once, or stop at a gate until the test lets them pass or fail.
 *
 * ```ts
 * const factory = new GatedFactory();
 * factory.hold('create');
 * const acquiring = pool.acquire();
 * factory.next('create').fail(new Error('refused'));
 * ```
 *
 * @publicApi
 */
export class GatedFactory implements ConnectionFactory<GatedConnection> {
  /** Connections opened and not yet asked to close, oldest first. */
  readonly open: GatedConnection[] = [];
  /** Every call in the order it came, as `create 1`, `destroy 1`, … */
  readonly log: string[] = [];
  /** What `looksAlive` answers. */
  alive = true;
  private readonly held = new Set<GatedHook>();
  private readonly calls: GatedCall[] = [];
  private count = 0;

  /** From now on the hook's calls wait. */
  hold(hook: GatedHook): void {
    this.held.add(hook);
  }

  /** From now on the hook's calls pass at once; those that wait go on waiting. */
  letPass(hook: GatedHook): void {
    this.held.delete(hook);
  }

  /** How many calls of the hook wait. */
  waiting(hook: GatedHook): number {
    return this.calls.filter((call) => call.hook === hook).length;
  }

  /**
   * Takes the oldest call of the hook that waits.
   *
   * @throws Error if none waits
   */
  next(hook: GatedHook): GatedCall {
    const index = this.calls.findIndex((call) => call.hook === hook);
    const call = this.calls.splice(index, index < 0 ? 0 : 1)[0];
    if (call === undefined) throw new Error(`no call of ${hook} is waiting`);
    return call;
  }

  readonly create = (context: CreateContext): Promise<GatedConnection> => {
    const connection: GatedConnection = { id: (this.count += 1), context };
    return this.gate('create', connection, context, () => {
      this.open.push(connection);
      return connection;
    });
  };

  readonly isHealthy = (connection: GatedConnection, context: HookContext): Promise<boolean> =>
    this.gate('isHealthy', connection, context, () => true);

  readonly reset = (connection: GatedConnection, context: HookContext): Promise<void> =>
    this.gate('reset', connection, context, () => undefined);

  readonly destroy = (connection: GatedConnection, context: HookContext): Promise<void> => {
    const index = this.open.indexOf(connection);
    if (index >= 0) this.open.splice(index, 1);
    return this.gate('destroy', connection, context, () => undefined);
  };

  readonly looksAlive = (): boolean => this.alive;

  private gate<R>(hook: GatedHook, connection: GatedConnection, context: HookContext, usual: () => R): Promise<R> {
    this.log.push(`${hook} ${connection.id}`);
    if (!this.held.has(hook)) return Promise.resolve(usual());
    return new Promise((resolve, reject) => {
      const pass = (answer?: unknown): void => resolve(answer === undefined ? usual() : (answer as R));
      this.calls.push({ hook, connection, context, pass, fail: reject });
    });
  }
}
