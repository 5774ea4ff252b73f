import { type IncomingHttpHeaders, validateHeaderName, validateHeaderValue } from 'node:http';
import { MAX_DELAY_MS } from '../core/clock.js';
import { checkGroup, type Rule, share } from '../core/option-rules.js';

/** A request that has arrived, whole. @publicApi */
export interface UpstreamRequest {
  readonly method: string;
  /** With the query, as it came. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** When, on `performance.now()`. */
  readonly at: number;
}

/** What is answered. What it leaves out is as the simulator's settings have it. @publicApi */
export interface UpstreamAnswer {
  /** Default: 200. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** A text or bytes as they are, anything else as JSON. Default: the request's method and path. */
  readonly body?: unknown;
}

/** How an upstream behaves. Each setting holds from the next request on. @publicApi */
export interface UpstreamSettings extends UpstreamAnswer {
  /** How long an answer takes to begin; Infinity: it never comes. Default: 0. */
  readonly latencyMs?: number;
  /** How fast a body trickles. Default: Infinity. */
  readonly bytesPerSecond?: number;
  /** Answers instead of status, headers and body. One that throws or rejects answers 500, with its message. */
  readonly handler?: (
    request: UpstreamRequest,
  ) => UpstreamAnswer | undefined | void | Promise<UpstreamAnswer | undefined | void>;
  /** The share of requests, 0 to 1, that is answered by `failureStatus`. Default: 0. */
  readonly failureRate?: number;
  /** Default: 503. */
  readonly failureStatus?: number;
  /** Draws the failures, each from a number below 1. Default: `Math.random`. */
  readonly random?: () => number;
  /** How long an idle connection is kept, without a word of it to the client; 0 closes it after each answer. Default: 5 000. */
  readonly keepAliveMs?: number;
}

/** @internal */
export type ResolvedUpstreamSettings = UpstreamSettings &
  Required<
    Pick<
      UpstreamSettings,
      'status' | 'headers' | 'latencyMs' | 'bytesPerSecond' | 'failureRate' | 'failureStatus' | 'random' | 'keepAliveMs'
    >
  >;

const DEFAULTS: ResolvedUpstreamSettings = {
  status: 200,
  headers: {},
  latencyMs: 0,
  bytesPerSecond: Infinity,
  failureRate: 0,
  failureStatus: 503,
  random: Math.random,
  keepAliveMs: 5_000,
};

const fits =
  (isFit: (value: unknown) => boolean, expected: string): Rule =>
  (value) =>
    isFit(value) ? undefined : expected;

const delay = fits(
  (value) => value === Infinity || (typeof value === 'number' && value >= 0 && value <= MAX_DELAY_MS),
  `a number of milliseconds from 0 to ${MAX_DELAY_MS}, or Infinity`,
);
const status = fits(
  (value) => Number.isInteger(value) && (value as number) >= 200 && (value as number) <= 599,
  'a whole number from 200 to 599',
);
const callable = (expected: string): Rule => fits((value) => typeof value === 'function', expected);

const ANSWER_RULES: Record<keyof UpstreamAnswer, Rule> = {
  status,
  headers: fits(areHeaders, 'an object of valid names and texts'),
  body: fits(isBody, 'a text, bytes, or what JSON can hold'),
};

const RULES: Record<keyof UpstreamSettings, Rule> = {
  ...ANSWER_RULES,
  latencyMs: delay,
  bytesPerSecond: fits((value) => typeof value === 'number' && value > 0, 'a number above 0, or Infinity'),
  handler: callable('a function of a request'),
  failureRate: share,
  failureStatus: status,
  random: callable('a function that draws a number'),
  keepAliveMs: delay,
};

/**
 * The settings after a change. `undefined` puts a default back.
 *
 * @throws TypeError naming every setting that is wrong
 * @internal
 */
export function changeSettings(
  change: UpstreamSettings,
  current: ResolvedUpstreamSettings = DEFAULTS,
): ResolvedUpstreamSettings {
  const problems = checkGroup(RULES, change);
  if (problems.length > 0) {
    const text = problems.length === 1 ? problems[0] : `wrong settings:\n  - ${problems.join('\n  - ')}`;
    throw new TypeError(`upstream simulator: ${text}`);
  }
  const cleared = Object.entries(change).filter(([, value]) => value === undefined);
  const defaults = Object.fromEntries(cleared.map(([key]) => [key, DEFAULTS[key as keyof UpstreamSettings]]));
  return { ...current, ...change, ...defaults };
}

/** Every problem of what a handler answered, in words. @internal */
export function problemsOfAnswer(answer: object): string[] {
  return checkGroup(ANSWER_RULES, answer);
}

function areHeaders(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  try {
    for (const [name, text] of Object.entries(value)) {
      validateHeaderName(name);
      validateHeaderValue(name, text as string);
      if (typeof text !== 'string') return false;
    }
    return true;
  } catch {
    return false;
  }
}

function isBody(value: unknown): boolean {
  if (value instanceof Uint8Array) return true;
  try {
    return JSON.stringify(value) !== undefined;
  } catch {
    return false;
  }
}
