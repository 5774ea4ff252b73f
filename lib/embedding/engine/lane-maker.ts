import { CacheKeys } from '../cache/cache-key.js';
import type { EmbeddingCache } from '../cache/cache-tiers.js';
import type { ResolvedEmbeddingOptions } from '../embedding-options.js';
import type { EmbeddingEndpoint } from './endpoint.js';
import { Lane, type LaneSettings } from './lane.js';

interface LaneParts {
  readonly name: string;
  readonly endpoints: readonly EmbeddingEndpoint[];
  readonly options: ResolvedEmbeddingOptions;
  readonly cache: EmbeddingCache | undefined;
}

/** The lane for texts of these settings, with the manners that the profile and the options ask for. @internal */
export function laneOf(settings: LaneSettings, { options, cache, endpoints, name }: LaneParts): Lane {
  const { dedupe = true, coalesce = true, onBlank = 'error', onTooLong } = options;
  const { profile, gateway, model } = endpoints[0]!.parts;
  // Where texts of a request have an influence on each other, none is like another, and none is to be found again.
  const isAlike = profile.mayCoalesce?.(settings.extraBody) ?? true;
  const keys = (): CacheKeys =>
    new CacheKeys({
      ...settings,
      endpoint: `${profile.name} ${gateway.baseURL ?? name}`,
      model,
      truncate: onTooLong === 'truncate',
      blank: onBlank,
    });
  return new Lane(settings, {
    cacheKeys: cache !== undefined && isAlike ? keys() : undefined,
    mayShare: coalesce && isAlike,
    dedupe: dedupe && isAlike,
    isDivisible: isAlike,
  });
}
