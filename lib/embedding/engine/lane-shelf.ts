import { canonicalJson } from '../cache/cache-key.js';
import { Lane, type LaneSettings } from './lane.js';

/** Lanes that nothing waits in are kept for as many: a tenant each would otherwise be kept for ever. */
const MOST_IDLE = 256;

/**
 * The lanes by what their texts have in common. The one of calls that ask for nothing special is found without a search.
 *
 * @internal
 */
export class LaneShelf {
  readonly usual: Lane;
  private readonly others = new Map<string, Lane>();

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

  /** All of them, those first in which a single text waits. */
  *waiting(): Iterable<Lane> {
    const lanes = [this.usual, ...this.others.values()].filter(({ isEmpty }) => !isEmpty);
    yield* lanes.filter(({ hasAlone }) => hasAlone);
    yield* lanes.filter(({ hasAlone }) => !hasAlone);
  }

  private clear(): void {
    for (const [key, lane] of this.others) {
      if (lane.isIdle) this.others.delete(key);
      if (this.others.size < MOST_IDLE) return;
    }
  }
}
