import { Inject } from '@nestjs/common';
import { getPoolToken } from './pool.tokens.js';

/**
 * Injects the pool of that name.
 *
 * ```ts
 * constructor(@InjectPool('documents') private readonly documents: ConnectionPool<Session>) {}
 * ```
 *
 * @publicApi
 */
export const InjectPool = (name: string): PropertyDecorator & ParameterDecorator => Inject(getPoolToken(name));
