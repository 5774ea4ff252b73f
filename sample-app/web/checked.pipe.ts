import { HttpStatus, type PipeTransform } from '@nestjs/common';
import type { z } from 'zod';
import { RequestError } from './request-error.js';

/** Lets through what fits the schema, and answers 400 to the rest, saying which fields are wrong and what was expected. */
export class Checked<T> implements PipeTransform<unknown, T> {
  constructor(private readonly schema: z.ZodType<T>) {}

  transform(value: unknown): T {
    const result = this.schema.safeParse(value);
    if (result.success) return result.data;
    const problems = result.error.issues.map(({ path, message }) => [...path, message].join(': '));
    throw new RequestError(HttpStatus.BAD_REQUEST, `${problems.join('; ')}.`);
  }
}
