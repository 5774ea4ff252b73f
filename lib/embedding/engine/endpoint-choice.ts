import { EmbeddingUnavailableError } from '../embedding-errors.js';
import type { EmbeddingEndpoint } from './endpoint.js';

/**
 * Which endpoint a request goes to: the first that is not known to be down. The others are for when it is; they share no load.
 *
 * @internal
 */
export class EndpointChoice {
  constructor(readonly all: readonly EmbeddingEndpoint[]) {}

  /** The one that new requests go to. */
  get current(): EmbeddingEndpoint | EmbeddingUnavailableError {
    return this.all.find(({ isAvailable }) => isAvailable) ?? this.unavailable();
  }

  /** The first that is available and has not been asked. Where there is none, the first that is available. */
  next(asked: ReadonlySet<EmbeddingEndpoint>): EmbeddingEndpoint | EmbeddingUnavailableError {
    return this.all.find((endpoint) => endpoint.isAvailable && !asked.has(endpoint)) ?? this.current;
  }

  /** Whether another one could be asked at once. */
  hasOther(asked: ReadonlySet<EmbeddingEndpoint>): boolean {
    return this.all.some((endpoint) => endpoint.isAvailable && !asked.has(endpoint));
  }

  /** Another one than that, for a second request beside it; itself where it is the only one. */
  beside(endpoint: EmbeddingEndpoint): EmbeddingEndpoint {
    return this.all.find((other) => other !== endpoint && other.isAvailable) ?? endpoint;
  }

  /** The error of the one that may be asked again first. */
  private unavailable(): EmbeddingUnavailableError {
    const refusals = this.all.map(({ parts }) => parts.breaker.refusal()).filter((refusal) => refusal !== undefined);
    return refusals.toSorted((one, other) => one.retryAt.getTime() - other.retryAt.getTime())[0]!;
  }
}
