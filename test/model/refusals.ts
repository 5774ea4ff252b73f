import { isPoolError } from 'nestjs-pools/core';
import type { Ask } from './reference-model.js';
import type { World } from './world.js';

/** What an acquire may be told in place of a lease, and whether it is true. */
export class Refusals {
  /** Errors of the factory that somebody was told of. */
  private readonly blamed = new WeakSet<object>();

  constructor(private readonly world: World) {}

  /** @returns the error's code */
  explain(ask: Ask, error: unknown): string {
    const { world } = this;
    const { model, now } = world;
    const { code = 'none', cause } = isPoolError(error) ? error : { cause: undefined };
    const name = `a${ask.seq}`;
    world.script.push(`await ${name}.catch(String); // ${code}`);
    if (code !== 'POOL_ACQUIRE_ABORTED') world.must(!ask.isAborted, `rule 3: ${name} was aborted first, got ${code}`);
    switch (code) {
      case 'POOL_ACQUIRE_ABORTED':
        model.counted.aborted += 1;
        world.must(ask.isAborted, `rule 3: ${name} ends as aborted, which it was not`);
        break;
      case 'POOL_CLOSED':
        model.counted.closed += 1;
        // A close by force may have taken its lease between the hand-over and the work: then it was lent, and not refused.
        if (ask.isUse && model.closeDueAt <= now) model.lentOrClosed += 1;
        world.must(model.phase === 'closed', `rule 3: ${name} ends as closed by a pool that is not`);
        break;
      case 'POOL_ACQUIRE_TIMEOUT':
      case 'POOL_NO_HEALTHY_CONNECTION':
        model.counted.timedOut += 1;
        world.must(now >= ask.dueAt, `rule 3: ${name} times out before its time`);
        this.explainTimeout(ask, code);
        break;
      case 'POOL_EXHAUSTED':
        model.counted.full += 1;
        world.must(ask.step === world.step, `rule 3: ${name} is refused after it had waited`);
        world.must(world.wasNested || ask.ahead >= model.limits.maxWaiting, `${name}: the queue was not full`);
        break;
      case 'POOL_CREATE_FAILED':
        this.explainCreateFailure(ask, cause);
        break;
      case 'POOL_DOWN':
        model.counted.down += 1;
        // A probe may have brought it up again within the same step.
        world.must(
          world.wentDownAt === world.step || world.lastStats.down || world.wasNested,
          `${name}: a pool that is not down says that it is`,
        );
        break;
      case 'POOL_DEADLOCK':
        world.must(world.wasNested || model.isCircle(), `rule 12: ${name} is told of a deadlock, and there is none`);
        break;
      default:
        world.must(false, `rule 3: ${name} ends with ${String(error)}`);
    }
    return code;
  }

  private explainTimeout(ask: Ask, code: string): void {
    const { world } = this;
    const { model, now } = world;
    // A check that fails in the very moment at which a wait begins or ends may fall into it or not.
    if (model.lastFailedCheckAt === now || model.lastFailedCheckAt === ask.since) return;
    // Nor is it said which comes first of two that end at the same time, one by the pool's clock.
    if (model.lastFailedCheckAt === model.lastPassedCheckAt) return;
    const isUnhealthy = model.lastFailedCheck > ask.checksBefore && model.lastPassedCheck < model.lastFailedCheck;
    const wanted = isUnhealthy ? 'POOL_NO_HEALTHY_CONNECTION' : 'POOL_ACQUIRE_TIMEOUT';
    world.must(code === wanted, `a${ask.seq}: expected ${wanted}, got ${code}`);
  }

  private explainCreateFailure(ask: Ask, cause: unknown): void {
    const { world } = this;
    world.borrowers.expectations.isInOrder(ask, 'hears of a failed create');
    const isWaiting = world.model.limits.onCreateError === 'wait';
    const isFinal = (cause as { retryable?: boolean } | undefined)?.retryable === false;
    const isBlame = typeof cause === 'object' && cause !== null && !isWaiting;
    world.must(!isBlame || !this.blamed.has(cause), 'one failed create is told to two acquires');
    if (isBlame) this.blamed.add(cause);
    world.must(!isWaiting || isFinal, `a${ask.seq}: 'wait' tells nobody of a failed create`);
  }
}
