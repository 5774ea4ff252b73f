import type { PoolLimits } from '../core/index.js';
import {
  checkGroup,
  either,
  group,
  nearest,
  oneOf,
  portNumber,
  type Rule,
  someFunction,
  someText,
  someTexts,
  text,
  wholeFrom,
  yesOrNo,
} from '../core/option-rules.js';
import type { MysqlPoolOptions } from './mysql-pool-options.js';
import { Charsets, ConnectionConfig, type DriverConfig, SECRETS } from './mysql2-internals.js';
import { readUri } from './mysql-uri.js';

type OwnOptions = Omit<MysqlPoolOptions, keyof PoolLimits>;

const whole = wholeFrom(0);
const sql = either(someText, someTexts);
const ownSql: Rule = (value) =>
  typeof value === 'object' && value !== null && Object.keys(value).join() === 'sql'
    ? sql((value as { sql?: unknown }).sql) && '{ sql: a text or a list of texts }'
    : '{ sql }';
const charset: Rule = (value) =>
  typeof value === 'string' && Object.hasOwn(Charsets, value.toUpperCase())
    ? undefined
    : 'a charset or collation that mysql2 knows';
const charsetNumber: Rule = (value) =>
  Object.values(Charsets).includes(value as number) ? undefined : 'the number of a collation that mysql2 knows';
const timezone: Rule = (value) =>
  typeof value === 'string' && /^(?:local|Z|[+-]\d\d:\d\d)$/.test(value) ? undefined : "'local', 'Z' or ±HH:MM";

const RULES: Record<keyof OwnOptions, Rule> = {
  uri: someText,
  host: someText,
  port: portNumber,
  user: text,
  database: text,
  socketPath: someText,
  password: either(text, someFunction),
  password2: text,
  password3: text,
  passwordSha1: () => undefined,
  ssl: either(someText, group),
  stream: someFunction,
  onConnect: either(sql, someFunction),
  reset: either(oneOf('connection', 'transactions', 'none'), ownSql),
  cancel: oneOf('kill', 'close'),
  charset,
  charsetNumber,
  timezone,
  compress: yesOrNo,
  flags: someTexts,
  connectAttributes: group,
  insecureAuth: yesOrNo,
  enableCleartextPlugin: yesOrNo,
  authPlugins: group,
  authSwitchHandler: someFunction,
  enableKeepAlive: yesOrNo,
  keepAliveInitialDelay: whole,
  multipleStatements: yesOrNo,
  namedPlaceholders: yesOrNo,
  maxPreparedStatements: whole,
  typeCast: either(yesOrNo, someFunction),
  dateStrings: either(yesOrNo, someTexts),
  decimalNumbers: yesOrNo,
  supportBigNumbers: yesOrNo,
  bigNumberStrings: yesOrNo,
  jsonStrings: yesOrNo,
  rowsAsArray: yesOrNo,
  nestTables: either(yesOrNo, text),
  stringifyObjects: yesOrNo,
  queryFormat: someFunction,
  infileStreamFactory: someFunction,
  disableEval: yesOrNo,
  trace: yesOrNo,
};

/** What mysql2's pool calls it: a hint is worth more here than "no such option". */
const ELSEWHERE: Record<string, string> = {
  connectionLimit: 'use maxConnections',
  connection_limit: 'use maxConnections',
  maxIdle: 'use minConnections and maxIdleTimeMs',
  idleTimeout: 'use maxIdleTimeMs',
  queueLimit: 'use maxWaiting',
  waitForConnections: 'use acquireTimeoutMs: 0',
  acquireTimeout: 'use acquireTimeoutMs',
  connectTimeout: 'use createTimeoutMs',
  resetOnRelease: 'use reset',
  gracefulEnd: 'connections are always ended that way',
  password1: 'use password',
  pool: 'the connections have one',
  Promise: 'it is always that of Node',
};

/** A connection's settings, checked. Where they hold secrets, they are out of a printer's sight. @internal */
export class MysqlSettings {
  /** Where it goes, without user, password and query. */
  readonly description: string;
  readonly reset: NonNullable<OwnOptions['reset']>;
  readonly cancel: NonNullable<OwnOptions['cancel']>;
  readonly database: string | undefined;
  /** Whether errors tell who asked. */
  readonly traces: boolean;
  /** Restores the charset of the login where the server forgets it. */
  readonly setNames: string;
  readonly #options: OwnOptions;

  constructor(options: OwnOptions) {
    const { ssl, reset = 'connection', cancel = 'kill', database } = options;
    // One copy for all connections: mysql2 keeps TLS contexts and sessions by this very object, and writes to it.
    this.#options = typeof ssl === 'object' ? { ...options, ssl: { ...ssl } } : options;
    this.reset = reset;
    this.cancel = cancel;
    this.traces = options.trace ?? true;
    this.database = database === '' ? undefined : database;
    this.description = describe(options);
    // What mysql2 refuses, it refuses here and not with each connection.
    this.configFor(undefined);
    this.setNames = setNamesText(this.publicConfig().charsetNumber);
  }

  get onConnect(): OwnOptions['onConnect'] {
    return this.#options.onConnect;
  }

  /** Of one new connection. */
  async passwordFor(signal: AbortSignal): Promise<string | undefined> {
    const { password } = this.#options;
    return typeof password === 'function' ? password({ signal }) : password;
  }

  /** Of one connection, which may write to it. With a stream of one's own: where that leads. */
  configFor(password: string | undefined, stream?: () => unknown): DriverConfig {
    return this.#configOf({ ...this.#options, password, stream: this.#options.stream ?? stream });
  }

  /** How values are written and read, for whoever may show it: without keys and passwords. */
  publicConfig(): DriverConfig {
    return this.#configOf(without(this.#options, [...SECRETS, 'ssl']));
  }

  #configOf(options: OwnOptions): DriverConfig {
    return new ConnectionConfig({
      keepAliveInitialDelay: 30_000,
      // The pool has a time limit over all of a login.
      connectTimeout: 0,
      ...without(options, NOT_OF_MYSQL2),
    });
  }
}

/** Read here, and nothing that mysql2 would know. */
const NOT_OF_MYSQL2 = ['uri', 'onConnect', 'reset', 'cancel'] as const;

function without(options: OwnOptions, keys: readonly (keyof OwnOptions)[]): OwnOptions {
  return Object.fromEntries(Object.entries(options).filter(([key]) => !keys.includes(key as keyof OwnOptions)));
}

/** Checks MySQL's own options; what is wrong goes on the list of problems, by name and without its value. @internal */
export function resolveMysqlSettings(given: OwnOptions, problems: string[]): MysqlSettings | undefined {
  const before = problems.length;
  const fromUri = given.uri === undefined ? {} : readUri(given.uri, problems);
  if (given.port !== undefined && (given.socketPath ?? fromUri['socketPath']) !== undefined) {
    problems.push('port: has no meaning beside socketPath');
  }
  const options: OwnOptions = { ...fromUri, ...given };
  for (const [place, values] of [['uri: ', fromUri] as const, ['', given] as const]) {
    const known = Object.fromEntries(Object.entries(values).filter(([key]) => Object.hasOwn(RULES, key)));
    problems.push(...unknownKeys(values, place), ...checkGroup(RULES, known, place));
  }
  if (problems.length > before) return undefined;
  try {
    return new MysqlSettings(options);
  } catch {
    // All that mysql2 still refuses now; its message may quote the value.
    problems.push('ssl: expected TLS options, or the name of a profile that mysql2 has');
    return undefined;
  }
}

function unknownKeys(options: object, place: string): string[] {
  return Object.keys(options)
    .filter((key) => !Object.hasOwn(RULES, key))
    .map((key) => {
      const hint = Object.hasOwn(ELSEWHERE, key) ? ` (${ELSEWHERE[key]})` : nearest(key, Object.keys(RULES));
      return `${place}${key}: no such option${hint}`;
    });
}

function describe({ host = 'localhost', port: number = 3306, socketPath, database = '' }: OwnOptions): string {
  if (socketPath !== undefined) return `mysql:///${database} (${socketPath})`;
  return `mysql://${host.includes(':') ? `[${host}]` : host}:${number}/${database}`;
}

function setNamesText(number: number): string {
  const names = Object.keys(Charsets).filter((name) => Charsets[name] === number);
  const collation = (names.find((name) => name.includes('_')) ?? names[0] ?? 'binary').toLowerCase();
  const [name] = collation.split('_');
  return name === collation ? `SET NAMES ${name}` : `SET NAMES ${name} COLLATE ${collation}`;
}
