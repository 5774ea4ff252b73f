import { validateHeaderName, validateHeaderValue } from 'node:http';
import type { ConnectionOptions as TlsOptions } from 'node:tls';
import { checkGroup, group, type Rule, shapeOf, text } from '../core/option-rules.js';
import { proxyOfEnvironment } from './proxy-environment.js';
import { tlsProblems } from './tls-sessions.js';

/**
 * A proxy, where its address alone does not say it all.
 *
 * @publicApi
 */
export interface HttpProxyOptions {
  /** `http://proxy:3128`; user and password may stand in it, percent-encoded. */
  readonly url: string;
  /** Headers for the proxy alone, which gets them with each tunnel or request. */
  readonly headers?: Readonly<Record<string, string>>;
  /** For an `https:` proxy: its authority, or the certificate to show it. The pool's own `tls` is not for proxies. */
  readonly tls?: TlsOptions;
}

/** A proxy, taken apart. @internal */
export interface ProxySettings {
  /** Without user and password. */
  readonly url: URL;
  /** What the proxy gets with a tunnel or a request: its authorization, and what the user adds. */
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: TlsOptions;
}

const EXPECTED = 'expected http://host:port or https://host:port, with user and password at most';

const PROXY: Record<keyof HttpProxyOptions, Rule> = { url: text, headers: group, tls: group };

/** The proxy to a base URL, by the option or else by the environment. @internal */
export function resolveProxy(option: unknown, base: URL, problems: string[]): ProxySettings | undefined {
  if (option === false) return undefined;
  if (option === undefined) {
    const found = proxyOfEnvironment(base);
    return found && settingsOf({ url: found.url }, `proxy: ${found.variable} of the environment`, problems);
  }
  if (typeof option === 'string') return settingsOf({ url: option }, 'proxy', problems);
  if (typeof option !== 'object' || option === null) {
    problems.push(`proxy: expected a URL, an object or false, got ${shapeOf(option)}`);
    return undefined;
  }
  const wrong = checkGroup(PROXY, option, 'proxy.');
  problems.push(...wrong);
  return wrong.length > 0 ? undefined : settingsOf(option as HttpProxyOptions, 'proxy.url', problems);
}

function settingsOf(
  { url: given, headers = {}, tls = {} }: HttpProxyOptions,
  name: string,
  problems: string[],
): ProxySettings | undefined {
  const url = urlOf(given);
  const authorization = url && authorizationOf(url);
  if (url === undefined || authorization === undefined) {
    problems.push(`${name}: ${EXPECTED}`);
    return undefined;
  }
  problems.push(...headerProblems(headers), ...(url.protocol === 'https:' ? tlsProblems(tls, 'proxy.tls') : []));
  const own = Object.fromEntries(Object.entries(headers).map(([key, value]) => [key.toLowerCase(), value]));
  return { url: new URL(url.origin), headers: { ...authorization, ...own }, tls };
}

/** A proxy without a scheme speaks HTTP, for curl and everybody else. */
function urlOf(given: string | undefined): URL | undefined {
  const whole = given?.includes('://') ? given : `http://${given}`;
  if (given === undefined || !URL.canParse(whole)) return undefined;
  const url = new URL(whole);
  const isPlain = url.pathname === '/' && url.search === '' && url.hash === '';
  return isPlain && ['http:', 'https:'].includes(url.protocol) ? url : undefined;
}

function authorizationOf({ username, password }: URL): Record<string, string> | undefined {
  if (username === '' && password === '') return {};
  try {
    const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    return { 'proxy-authorization': `Basic ${Buffer.from(pair).toString('base64')}` };
  } catch {
    // A percent sign that encodes nothing.
    return undefined;
  }
}

function headerProblems(headers: Readonly<Record<string, string>>): string[] {
  return Object.entries(headers)
    .filter(([name, value]) => !isHeader(name, value))
    .map(([name]) => `proxy.headers.${name}: expected the name of a header and a text of one line`);
}

function isHeader(name: string, value: unknown): boolean {
  try {
    validateHeaderName(name);
    validateHeaderValue(name, value as string);
    return typeof value === 'string';
  } catch {
    return false;
  }
}
