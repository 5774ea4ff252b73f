import type { Duplex } from 'node:stream';
import type { ConnectionOptions as TlsOptions } from 'node:tls';
import { Client, type ClientConfig, type CustomTypesConfig } from 'pg';
import type { PoolLimits } from '../core/index.js';
import {
  checkGroup,
  either,
  group,
  nearest,
  oneOf,
  portNumber,
  positiveDuration,
  type Rule,
  someFunction,
  someText,
  someTexts,
  text,
  yesOrNo,
} from '../core/option-rules.js';

/**
 * What {@link postgresPool} takes: where to connect and as whom, what becomes of a session between two borrowers, and the
 * pool's limits.
 *
 * The one limit whose default differs from other pools' is `maxConnections`: 10, as pg's own pool has it, since every
 * connection is a process of the server, which allows 100 of them unless told otherwise.
 *
 * What is not set here is taken from the environment (`PGHOST`, `PGUSER`, …), as pg does.
 *
 * @publicApi
 */
export interface PostgresPoolOptions extends PoolLimits {
  /** `postgres://user:password@host:port/database?sslmode=verify-full`, with special characters percent-encoded. */
  readonly connectionString?: string;
  /** A name, an address, or the folder of a Unix socket. Not beside a connection string; neither are the next three. */
  readonly host?: string;
  readonly port?: number;
  readonly user?: string;
  readonly database?: string;
  /**
   * The password, or a function that gives it, asked for every new connection: for tokens that expire. Goes before the one in the
   * connection string.
   */
  readonly password?: string | (() => string | Promise<string>);
  /** `true`, or what `tls.connect` takes: `ca`, `cert`, `key`, `servername`, … The server's certificate is verified. */
  readonly ssl?: boolean | TlsOptions;
  /** `direct` begins TLS without asking first, for PostgreSQL 17 and later. */
  readonly sslnegotiation?: 'postgres' | 'direct';
  readonly enableChannelBinding?: boolean;
  /** Shown in `pg_stat_activity`. */
  readonly application_name?: string;
  readonly fallback_application_name?: string;
  /** Command-line options of the session, such as `-c search_path=app`. */
  readonly options?: string;
  readonly client_encoding?: string;
  /** TCP keep-alive, which finds out peers that have vanished. Default: true, after 10 s of silence. */
  readonly keepAlive?: boolean;
  readonly keepAliveInitialDelayMillis?: number;
  /** The server's setting of that name, in milliseconds. */
  readonly lock_timeout?: number;
  /** The server's setting of that name, in milliseconds. */
  readonly idle_in_transaction_session_timeout?: number;
  /** How long pg waits for an answer. The server goes on; prefer `statementTimeoutMs`. */
  readonly query_timeout?: number;
  /** pg's pipeline mode. */
  readonly pipeline?: boolean;
  /** Parsers of column types. */
  readonly types?: CustomTypesConfig;
  /** Makes the stream of each connection in place of a socket of Node's. */
  readonly stream?: () => Duplex;
  /** The server ends a statement that takes longer. `acquire`, `use`, `query` and `transaction` may ask for another one. */
  readonly statementTimeoutMs?: number;
  /**
   * Run when a session begins, before the connection counts as open, and again after each `discard-all`: SQL, or a function that
   * may query. A failure closes the connection and is a failed create.
   */
  readonly onConnect?: string | readonly string[] | ((client: Client) => unknown);
  /**
   * What becomes of a session between two borrowers, after a transaction that was left open has been rolled back: nothing
   * more (`none`), `DISCARD ALL` (`discard-all`), or SQL of your own. Default: `none`, which costs nothing.
   */
  readonly resetQuery?: 'none' | 'discard-all' | (string & {});
  /**
   * What an idle connection is asked by, in the background and before it is lent after `validateAfterIdleMs`: SQL that fails where
   * the connection is of no use. Default: an empty query. `false` turns both checks off.
   */
  readonly healthCheck?: string | false;
}

type OwnOptions = Omit<PostgresPoolOptions, keyof PoolLimits>;

const milliseconds: Rule = (value) =>
  Number.isInteger(value) && (value as number) >= 0 ? undefined : 'a whole number of milliseconds';
const no: Rule = (value) => (value === false ? undefined : 'false');
const RULES: Record<keyof OwnOptions, Rule> = {
  connectionString: someText,
  host: someText,
  port: portNumber,
  user: someText,
  database: someText,
  password: either(text, someFunction),
  ssl: either(yesOrNo, group),
  sslnegotiation: oneOf('postgres', 'direct'),
  enableChannelBinding: yesOrNo,
  application_name: text,
  fallback_application_name: text,
  options: text,
  client_encoding: text,
  keepAlive: yesOrNo,
  keepAliveInitialDelayMillis: milliseconds,
  lock_timeout: milliseconds,
  idle_in_transaction_session_timeout: milliseconds,
  query_timeout: milliseconds,
  pipeline: yesOrNo,
  types: group,
  stream: someFunction,
  statementTimeoutMs: positiveDuration,
  onConnect: either(someText, someTexts, someFunction),
  resetQuery: someText,
  healthCheck: either(text, no),
};

/** What other pools call it: a hint is worth more here than "no such option". */
const ELSEWHERE: Record<string, string> = {
  max: 'maxConnections',
  min: 'minConnections',
  poolSize: 'maxConnections',
  idleTimeoutMillis: 'maxIdleTimeMs',
  connectionTimeoutMillis: 'acquireTimeoutMs and createTimeoutMs',
  maxLifetimeSeconds: 'maxLifetimeMs',
  statement_timeout: 'statementTimeoutMs',
  verify: 'onConnect',
};

/** Options that pg does not know. */
const OURS = new Set<string>(['onConnect', 'resetQuery', 'healthCheck', 'statementTimeoutMs']);

/** A connection's settings, checked. Where they hold secrets, they are out of a printer's sight. @internal */
export class PostgresSettings {
  /** Where it goes, without user, password and query. */
  readonly description: string;
  readonly healthCheck: string | false;
  readonly resetSql: string | undefined;
  /** Whether the server has forgotten all prepared statements after that SQL. */
  readonly forgetsStatements: boolean;
  /** Whether it undoes what `onConnect` has set. */
  readonly beginsAnew: boolean;
  readonly #options: OwnOptions;
  readonly #clientConfig: ClientConfig;

  constructor(options: OwnOptions, description: string) {
    const { healthCheck = '', resetQuery = 'none', statementTimeoutMs } = options;
    this.#options = options;
    this.description = description;
    this.healthCheck = healthCheck;
    this.resetSql = resetQuery === 'none' ? undefined : resetQuery === 'discard-all' ? 'DISCARD ALL' : resetQuery;
    this.beginsAnew = /\bdiscard\s+all\b/i.test(this.resetSql ?? '');
    this.forgetsStatements = this.beginsAnew || /\bdeallocate\s+(prepare\s+)?all\b/i.test(this.resetSql ?? '');
    this.#clientConfig = {
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
      ...Object.fromEntries(Object.entries(options).filter(([key]) => !OURS.has(key))),
      ...(statementTimeoutMs === undefined ? undefined : { statement_timeout: serverMs(statementTimeoutMs) }),
    };
  }

  get password(): OwnOptions['password'] {
    return this.#options.password;
  }

  get onConnect(): OwnOptions['onConnect'] {
    return this.#options.onConnect;
  }

  /** For one client: anew each time, since pg hides the key of the TLS options that it is given, and of a copy of them. */
  clientConfig(): ClientConfig {
    const { ssl } = this.#clientConfig;
    return typeof ssl === 'object' ? { ...this.#clientConfig, ssl: { ...ssl } } : { ...this.#clientConfig };
  }
}

/** A duration as the server takes it: whole, and 0 for no limit. @internal */
export function serverMs(durationMs: number): number {
  return durationMs > 2 ** 31 - 1 ? 0 : Math.ceil(durationMs);
}

/** Checks PostgreSQL's own options; what is wrong goes on the list of problems, by name and without its value. @internal */
export function resolvePostgresSettings(options: OwnOptions, problems: string[]): PostgresSettings {
  for (const key of Object.keys(options)) {
    if (Object.hasOwn(RULES, key)) continue;
    const named = ELSEWHERE[key];
    problems.push(
      `${key}: no such option${named === undefined ? nearest(key, Object.keys(RULES)) : ` (it is ${named})`}`,
    );
  }
  const known = Object.fromEntries(Object.entries(options).filter(([key]) => Object.hasOwn(RULES, key)));
  const wrong = checkGroup(RULES, known);
  problems.push(...wrong);
  if (options.connectionString !== undefined && wrong.length === 0) problems.push(...conflicts(options));
  if (problems.length > 0) return new PostgresSettings({}, '');
  return new PostgresSettings(options, describe(options, problems));
}

/** pg lets the connection string win, and an empty user in it win over one that is given. Saying it twice is refused. */
function conflicts(options: OwnOptions): string[] {
  const found: string[] = [];
  for (const part of ['host', 'port', 'user', 'database'] as const) {
    if (options[part] !== undefined) found.push(`${part}: is part of the connection string; give one or the other`);
  }
  const connectionString = options.connectionString!;
  if (!isPlain(connectionString)) {
    found.push(
      'connectionString: expected postgres://user:password@host:port/database, with special characters percent-encoded',
    );
  } else if (options.ssl !== undefined && /[?&]ssl(mode|cert|key|rootcert)?=/i.test(connectionString)) {
    found.push('ssl: the connection string speaks of it too; give one or the other');
  }
  return found;
}

/**
 * Whether a connection string is read as it was meant. One with a `/`, `?` or `#` in its password is cut in two there, and a part
 * of the password would pass for a port or a database, and be shown as such.
 */
function isPlain(connectionString: string): boolean {
  if (connectionString.startsWith('/')) return true;
  const [, authority, path] = /^(?:postgres(?:ql)?|socket):(?:\/\/([^/?#]*))?([^?]*)/.exec(connectionString) ?? [];
  if (path === undefined || connectionString.includes('#') || path.includes('@')) return false;
  return authority?.includes('@') === true || !/[?].*@/.test(connectionString);
}

/** Lets pg read the settings, which opens nothing, and says where they lead. */
function describe(options: OwnOptions, problems: string[]): string {
  try {
    const settings = new PostgresSettings(options, '');
    const { stream: _, ...config } = settings.clientConfig() as Record<string, unknown>;
    const { host, port: number, database } = new Client(config as ClientConfig);
    if (host.startsWith('/')) return `postgres:///${database ?? ''} (${host}/.s.PGSQL.${number})`;
    if (Number.isNaN(number)) problems.push('port: expected a whole number from 1 to 65535');
    return `postgres://${host.includes(':') ? `[${host}]` : host}:${number}/${database ?? ''}`;
  } catch (error) {
    // A connection string that is no URL, or names a certificate that cannot be read. Its message may quote what it should not.
    const { code } = error as { code?: string };
    const name = options.connectionString === undefined ? 'ssl' : 'connectionString';
    problems.push(`${name}: cannot be used${code === undefined ? '' : ` (${code})`}`);
    return '';
  }
}
