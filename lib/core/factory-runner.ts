import { type ConnectionFactory, LENDS_ONE } from './connection-factory.js';
import { CreateCall, HookCall, HookCalls, type HookEnd, type HookHost } from './hook-call.js';
import { traitOf } from './pool-errors.js';
import type { ResolvedPoolOptions } from './pool-options.js';
import type { Slot } from './slot.js';

/** Whom the runner tells how a hook went; each is called once per hook, and never from inside a transition. @internal */
export interface SlotOwner<T> {
  opened(slot: Slot<T>, connection: T): void;
  openFailed(slot: Slot<T>, error: unknown, isRetryable: boolean): void;
  /** A create that had been given up yields a connection after all. */
  openedLate(slot: Slot<T>, connection: T): void;
  checked(slot: Slot<T>, isHealthy: boolean, error: unknown): void;
  resetEnded(slot: Slot<T>, end: HookEnd<void>): void;
  destroyed(slot: Slot<T>, end: HookEnd<void>): void;
  /** The factory says that a connection is dead. */
  broken(slot: Slot<T>, error: unknown): void;
  /** Whether the pool has this very connection already. */
  has(connection: T): boolean;
}

/**
 * Runs a factory's hooks on slots, each within its time limit, and makes one plain outcome of whatever they do: throw,
 * reject, hang, yield nothing, yield too late.
 *
 * @internal
 */
export class FactoryRunner<T> {
  /** Creates and destroys that ran past their limit and have not ended: as many connections the upstream may have more. */
  overdue = 0;
  private readonly factory: ConnectionFactory<T>;
  private readonly creates: HookCalls;
  private readonly checks: HookCalls;
  private readonly resets: HookCalls;
  private readonly destroys: HookCalls;

  constructor(
    options: ResolvedPoolOptions<T>,
    private readonly host: HookHost,
    private readonly owner: SlotOwner<T>,
  ) {
    this.factory = options.factory;
    this.creates = new HookCalls(host, 'create', options.createTimeoutMs);
    this.checks = new HookCalls(host, 'isHealthy', options.healthCheckTimeoutMs);
    this.resets = new HookCalls(host, 'reset', options.resetTimeoutMs);
    this.destroys = new HookCalls(host, 'destroy', options.destroyTimeoutMs);
  }

  open(slot: Slot<T>, attempt: number): void {
    const call = new CreateCall<T>(
      this.creates,
      (context) => this.factory.create(context),
      attempt,
      (error) => this.owner.broken(slot, error),
      (end) => {
        if (!end.ok && end.timedOut) this.overdue += 1;
        this.openEnded(slot, end);
      },
      (end) => {
        this.overdue -= 1;
        if (end.ok && this.refusalOf(end.value) === undefined) this.owner.openedLate(slot, end.value);
      },
    );
    slot.call = call.start();
  }

  /** Stops waiting for a create; what it still yields is late. */
  giveUpOpening(slot: Slot<T>, reason: unknown): void {
    this.overdue += 1;
    slot.call?.giveUp(reason);
  }

  check(slot: Slot<T>): void {
    slot.call = new HookCall<boolean>(
      this.checks,
      (context) => this.factory.isHealthy!(slot.connection as T, context),
      (end) => this.owner.checked(slot, end.ok && end.value === true, end.ok ? undefined : end.error),
    ).start();
  }

  reset(slot: Slot<T>): void {
    slot.call = new HookCall<void>(
      this.resets,
      (context) => this.factory.reset!(slot.connection as T, context),
      (end) => this.owner.resetEnded(slot, end),
    ).start();
  }

  destroy(slot: Slot<T>): void {
    const connection = slot.connection as T;
    slot.call = this.runDestroy(connection, (end) => this.owner.destroyed(slot, end));
  }

  /** Closes a connection that came too late to be wanted. It never was in the pool, so it counts as overdue until then. */
  destroyStray(connection: T, onEnd: (end: HookEnd<void>) => void): void {
    this.overdue += 1;
    this.runDestroy(connection, (end) => {
      this.overdue -= 1;
      onEnd(end);
    });
  }

  private runDestroy(connection: T, onEnd: (end: HookEnd<void>) => void): HookCall<void> {
    return new HookCall<void>(
      this.destroys,
      (context) => this.factory.destroy?.(connection, context),
      (end) => {
        if (!end.ok && end.timedOut) this.overdue += 1;
        onEnd(end);
      },
      () => (this.overdue -= 1),
    ).start();
  }

  private openEnded(slot: Slot<T>, end: HookEnd<T>): void {
    const error = end.ok ? this.refusalOf(end.value) : (end.error ?? new Error('the factory failed without a reason'));
    if (error !== undefined) this.owner.openFailed(slot, error, this.isRetryable(error));
    else if (end.ok) this.owner.opened(slot, end.value);
  }

  /** The factory is asked here, before anything of the pool has moved. */
  private isRetryable(error: unknown): boolean {
    try {
      return traitOf(error, 'retryable') !== false && this.factory.retryable?.(error) !== false;
    } catch {
      return true;
    }
  }

  private refusalOf(connection: T): Error | undefined {
    if (connection === undefined || connection === null) {
      return new TypeError(`the factory's create() of pool "${this.host.name}" yielded ${String(connection)}`);
    }
    if (!this.owner.has(connection) || Reflect.get(this.factory, LENDS_ONE) === true) return undefined;
    return new TypeError(
      `the factory's create() of pool "${this.host.name}" yielded a connection that the pool has already`,
    );
  }
}
