import type { Rule } from '../../core/option-rules.js';

/** @internal */
export const finiteDuration: Rule = (value) =>
  typeof value === 'number' && value > 0 && value < Infinity ? undefined : 'a number of milliseconds above 0';
/** @internal */
export const durationFromZero: Rule = (value) =>
  typeof value === 'number' && value >= 0 ? undefined : 'a number of milliseconds from 0, or Infinity';
/** @internal */
export const aboveZero: Rule = (value) =>
  typeof value === 'number' && value > 0 && value < Infinity ? undefined : 'a number above 0';
/** @internal */
export const fromOne: Rule = (value) =>
  typeof value === 'number' && value >= 1 && value < Infinity ? undefined : 'a number from 1';
/** @internal */
export const someShare: Rule = (value) =>
  typeof value === 'number' && value > 0 && value <= 1 ? undefined : 'a number above 0, up to 1';
