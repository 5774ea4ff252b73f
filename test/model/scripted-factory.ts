import type { ConnectionFactory, CreateContext, HookContext } from 'nestjs-pools/core';

export const HOOKS = ['create', 'isHealthy', 'reset', 'destroy'] as const;
export type Hook = (typeof HOOKS)[number];

/**
 * How a hook answers from now on: at once, a microtask later, when a step or a schedule lets it (`later`, `laterFails`),
 * not before the run's end (`never`), by throwing, by rejecting, with something that is no answer, or well and badly in
 * turns.
 */
export const WAYS = ['ok', 'soon', 'later', 'laterFails', 'never', 'throws', 'rejects', 'wrong', 'flaps'] as const;
export type Way = (typeof WAYS)[number];

/** Where a connection is by the factory's and the borrowers' own books. */
export type Place =
  'creating' | 'failed' | 'idle' | 'lent' | 'ending' | 'checking' | 'resetting' | 'destroying' | 'gone' | 'detached';

/** A connection, with all that its factory and its borrowers know of it. */
export class Pooled {
  place: Place = 'creating';
  openedAt = 0;
  idleSince = 0;
  provenAt = 0;
  uses = 0;
  isBroken = false;
  isDead = false;
  hasFailedCheck = false;
  hasFailedReset = false;
  wasEvicted = false;
  /** It came after its create had been given up, and the pool did not want it. */
  isStray = false;
  destroys = 0;

  constructor(
    readonly serial: number,
    readonly context: CreateContext,
    readonly generation: number,
  ) {}
}

/** One call of a hook, from its beginning to its end. */
export interface Call {
  readonly hook: Hook;
  /** `create 3`: the third call of that hook. */
  readonly name: string;
  readonly connection: Pooled;
  readonly context: HookContext;
  readonly startedAt: number;
  readonly isLater: boolean;
  isOver: boolean;
  /** The pool waits for it no longer; what it yields is late. */
  isGivenUp: boolean;
  settle: ((isOk: boolean) => void) | undefined;
}

export interface FactoryWatcher {
  readonly generation: number;
  readonly now: number;
  called(call: Call): void;
  ended(call: Call, answer: 'ok' | 'wrong' | 'error'): void;
}

class UpstreamError extends Error {
  override readonly name = 'UpstreamError';
  retryable = true;
}

/** A factory that answers as it was told to, and keeps books of its own. */
export class ScriptedFactory {
  readonly ways: Record<Hook, Way> = { create: 'ok', isHealthy: 'ok', reset: 'ok', destroy: 'ok' };
  /** Where a hook's calls answer in turns, these come before `ways`. */
  readonly turns: Partial<Record<Hook, readonly Way[]>> = {};
  /** Whether the next failures say of themselves that trying again is useless. */
  isFinal = false;
  readonly running = new Set<Call>();
  /** Opened, or about to be, and neither closed nor detached. */
  readonly known = new Set<Pooled>();
  readonly errors = new WeakSet<object>();
  private readonly count: Record<Hook, number> = { create: 0, isHealthy: 0, reset: 0, destroy: 0 };
  private isUp = false;
  private isCalm = false;

  constructor(
    private readonly watcher: FactoryWatcher,
    /** Puts the order in which calls end into somebody's hands. Default: a step names the one that goes on. */
    private readonly schedule?: (name: string) => Promise<unknown>,
  ) {}

  /** The hooks as the pool gets them. */
  hooks(extra: readonly string[]): ConnectionFactory<Pooled> {
    const all: Required<Omit<ConnectionFactory<Pooled>, 'retryable'>> = {
      create: (context) => {
        const connection = new Pooled((this.count.create += 1), context, this.watcher.generation);
        this.known.add(connection);
        return this.answer('create', this.count.create, connection, context, connection, this.notAConnection());
      },
      isHealthy: (connection, context) =>
        this.answer('isHealthy', (this.count.isHealthy += 1), connection, context, true, false),
      reset: (connection, context) =>
        this.answer('reset', (this.count.reset += 1), connection, context, undefined, undefined),
      destroy: (connection, context) =>
        this.answer('destroy', (this.count.destroy += 1), connection, context, undefined, undefined),
      looksAlive: (connection) => !connection.isDead,
    };
    const chosen = { create: all.create, destroy: all.destroy };
    for (const hook of extra) Object.assign(chosen, { [hook]: all[hook as keyof typeof all] });
    return chosen;
  }

  /** Every call that a step may let go on. */
  held(): Call[] {
    return [...this.running].filter((call) => call.isLater && call.settle !== undefined);
  }

  /** All hooks answer well from now on; those that hang go on. */
  calm(): void {
    this.isCalm = true;
    for (const call of this.running) call.settle?.(true);
  }

  private answer<R>(
    hook: Hook,
    nth: number,
    connection: Pooled,
    context: HookContext,
    good: R,
    bad: R,
  ): R | Promise<R> {
    const way = this.wayOf(hook, nth);
    const call: Call = {
      hook,
      name: `${hook} ${nth}`,
      connection,
      context,
      startedAt: this.watcher.now,
      isLater: way === 'later' || way === 'laterFails',
      isOver: false,
      isGivenUp: false,
      settle: undefined,
    };
    this.running.add(call);
    const end = (answer: 'ok' | 'wrong' | 'error'): R => {
      call.isOver = true;
      this.running.delete(call);
      // A reset or a destroy has no wrong answer.
      const isWrong = answer === 'wrong' && good !== bad;
      this.watcher.ended(call, isWrong ? 'wrong' : answer === 'error' ? 'error' : 'ok');
      if (answer === 'error') throw this.failure(call.name);
      return isWrong ? bad : good;
    };
    try {
      this.watcher.called(call);
    } catch {
      return end('error');
    }
    switch (way) {
      case 'ok':
        return end('ok');
      case 'throws':
        return end('error');
      case 'wrong':
        return end('wrong');
      case 'flaps':
        this.isUp = !this.isUp;
        return end(this.isUp ? 'ok' : 'error');
      case 'soon':
        return Promise.resolve().then(() => end('ok'));
      case 'rejects':
        return Promise.resolve().then(() => end('error'));
      default: {
        const going = new Promise<boolean>((resolve) => (call.settle = resolve));
        if (call.isLater) void this.schedule?.(call.name).then(() => call.settle!(way === 'later'));
        return going.then((isOk) => end(isOk ? 'ok' : 'error'));
      }
    }
  }

  private wayOf(hook: Hook, nth: number): Way {
    if (this.isCalm) return 'ok';
    const turns = this.turns[hook];
    return turns === undefined ? this.ways[hook] : turns[(nth - 1) % turns.length]!;
  }

  private failure(name: string): Error {
    const error = new UpstreamError(`${name} failed`);
    if (this.isFinal) error.retryable = false;
    this.errors.add(error);
    return error;
  }

  /** What a create yields that went wrong without failing: nothing, or a connection that somebody has. */
  private notAConnection(): Pooled {
    const [lent] = [...this.known].filter((connection) => connection.place === 'lent');
    return lent ?? (undefined as unknown as Pooled);
  }
}
