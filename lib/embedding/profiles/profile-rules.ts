import {
  checkGroup,
  group,
  oneOf,
  type Rule,
  shapeOf,
  someFunction,
  someText,
  wholeOrInfinity,
} from '../../core/option-rules.js';
import type { EmbeddingLimits, EmbeddingProfile } from './profile.js';

const LIMITS: Record<keyof EmbeddingLimits, Rule> = {
  maxInputs: wholeOrInfinity(1),
  maxTokens: wholeOrInfinity(1),
  maxInputTokens: wholeOrInfinity(1),
  maxBytes: wholeOrInfinity(1),
  maxInFlightInputs: wholeOrInfinity(1),
  maxConcurrency: wholeOrInfinity(1),
};

const PROFILE: Record<keyof EmbeddingProfile, Rule> = {
  name: someText,
  matches: someFunction,
  limits: group,
  limitsOf: someFunction,
  path: someFunction,
  headers: someFunction,
  body: someFunction,
  encoding: oneOf('auto', 'never'),
  read: someFunction,
  sign: someFunction,
  mayCoalesce: someFunction,
  classify: someFunction,
  probe: group,
  discover: group,
  firstRequestPatience: (value) =>
    typeof value === 'number' && value >= 1 && value < Infinity ? undefined : 'a number from 1',
  call: someFunction,
};

const PROBE = { method: oneOf('GET', 'HEAD'), path: someText };
const DISCOVER = { path: someText, read: someFunction };

/**
 * Every problem of a profile, in words.
 *
 * @param prefix stands before each name, as in `profile.`
 * @internal
 */
export function checkEmbeddingProfile(profile: unknown, prefix = ''): string[] {
  if (group(profile) !== undefined) {
    return [`${prefix === '' ? 'profile' : prefix.slice(0, -1)}: expected a profile, got ${shapeOf(profile)}`];
  }
  const given = profile as Readonly<Record<string, unknown>>;
  const problems = checkGroup(PROFILE, given, prefix);
  if (given['name'] === undefined) problems.push(`${prefix}name: expected a text that is not empty, got nothing`);
  problems.push(...checkInner(LIMITS, given['limits'], `${prefix}limits.`, []));
  problems.push(...checkInner(PROBE, given['probe'], `${prefix}probe.`, ['method', 'path']));
  problems.push(...checkInner(DISCOVER, given['discover'], `${prefix}discover.`, ['path', 'read']));
  return problems;
}

function checkInner(
  rules: Readonly<Record<string, Rule>>,
  values: unknown,
  prefix: string,
  required: readonly string[],
): string[] {
  // A value that is no object has been named already.
  if (values === undefined || group(values) !== undefined) return [];
  const missing = required.filter((key) => (values as Readonly<Record<string, unknown>>)[key] === undefined);
  return [
    ...checkGroup(rules, values as object, prefix),
    ...missing.map((key) => `${prefix}${key}: expected ${rules[key]!(undefined)}, got nothing`),
  ];
}
