import { canonicalJson } from '../cache/cache-key.js';
import type { Lane, LaneSettings, QueueName } from './lane.js';

/** Lanes that nothing waits in are kept for as many: a tenant each would otherwise be kept for ever. */
const MOST_IDLE = 256;

/** How often lists go before single texts, where both wait. */
const BULK_EVERY = 4;

/** A lane, and which of its queues is meant. @internal */
export interface Turn {
  readonly lane: Lane;
  readonly queue: QueueName;
  /** The text that has waited longest. */
  readonly first: number;
}

/**
 * The lanes by what their texts have in common. The one of calls that ask for nothing special is found without a search.
 *
 * @internal
 */
export class LaneShelf {
  readonly usual: Lane;
  private readonly others = new Map<string, Lane>();
  private turns = 0;

  constructor(
    private readonly defaults: LaneSettings,
    private readonly make: (settings: LaneSettings) => Lane,
  ) {
    this.usual = make(defaults);
  }

  /** The lane for a call's own settings, where it has any. */
  of(own: Partial<LaneSettings>): Lane {
    const { dimensions, inputType, extraBody, tenant } = own;
    if (dimensions === undefined && inputType === undefined && extraBody === undefined && tenant === undefined) {
      return this.usual;
    }
    const { defaults } = this;
    const settings: LaneSettings = {
      dimensions: dimensions ?? defaults.dimensions,
      inputType: inputType ?? defaults.inputType,
      extraBody: extraBody === undefined ? defaults.extraBody : { ...defaults.extraBody, ...extraBody },
      tenant: tenant ?? defaults.tenant,
    };
    const key = canonicalJson([
      settings.dimensions ?? null,
      settings.inputType ?? null,
      settings.extraBody ?? null,
      settings.tenant ?? null,
    ]);
    const found = this.others.get(key);
    // Put at the end: what was asked for last is kept longest.
    if (found !== undefined) this.others.delete(key);
    else if (this.others.size >= MOST_IDLE) this.clear();
    const lane = found ?? this.make(settings);
    this.others.set(key, lane);
    return lane;
  }

  /**
   * Whose turn it is: the text that came first. Those of single calls go before those of long lists, but for every fourth
   * request, so that the lists come to an end too.
   */
  next(): Turn | undefined {
    let alone: Turn | undefined;
    let bulk: Turn | undefined;
    for (const lane of this.all()) {
      alone = earlier(alone, lane, 'alone');
      bulk = earlier(bulk, lane, 'bulk');
    }
    if (alone === undefined || bulk === undefined) return alone ?? bulk;
    this.turns += 1;
    return this.turns % BULK_EVERY === 0 ? bulk : alone;
  }

  /** All of them. */
  *all(): Iterable<Lane> {
    yield this.usual;
    yield* this.others.values();
  }

  private clear(): void {
    for (const [key, lane] of this.others) {
      if (lane.isIdle) this.others.delete(key);
      if (this.others.size < MOST_IDLE) return;
    }
  }
}

function earlier(best: Turn | undefined, lane: Lane, queue: QueueName): Turn | undefined {
  const first = lane.firstOf(queue);
  return first !== undefined && first < (best?.first ?? Infinity) ? { lane, queue, first } : best;
}
