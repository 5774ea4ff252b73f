/** Where a server is and how to log in. */
export interface Server {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly url: string;
}

/** A server process of a test's own. Its port and its data stay the same until {@link PrivateServer.remove}. */
export interface PrivateServer extends Server, AsyncDisposable {
  readonly pid: number | undefined;
  /** Its Unix socket; of PostgreSQL the folder that holds it, which `pg` takes as `host`. */
  readonly socketPath: string;
  /** Its own folder in the temporary one. */
  readonly folder: string;
  /** Resolves when it answers a login. */
  start(): Promise<void>;
  /** Ends it as its operator would. */
  stop(): Promise<void>;
  /** SIGKILL, to the processes of its single clients too. */
  kill(): Promise<void>;
  restart(): Promise<void>;
  /** What it wrote so far. */
  log(): Promise<string>;
  /** Stops it and removes its data: for `afterAll`. */
  remove(): Promise<void>;
}

/** PEM texts. With `ca` a client's certificate is checked against it, where the client shows one. */
export interface ServerTls {
  readonly cert: string;
  readonly key: string;
  readonly ca?: string;
}

export interface PostgresServerOptions {
  /** Lines of postgresql.conf: `max_connections = 20`. */
  readonly config?: readonly string[];
  /** Lines of pg_hba.conf, before the one that trusts everybody: `hostssl all all all cert`. */
  readonly hba?: readonly string[];
  readonly tls?: ServerTls;
}

export interface MysqlServerOptions {
  /** Lines of an option file: `max_connections=20`. */
  readonly config?: readonly string[];
  readonly password?: string;
  readonly tls?: ServerTls;
}

export interface RedisServerOptions {
  /** Lines of redis.conf: `maxclients 20`. */
  readonly config?: readonly string[];
  /** Empty: none is asked for. */
  readonly password?: string;
  /** With it the port speaks nothing else. */
  readonly tls?: ServerTls;
}

/** The machine has no such server to start. */
export class NotInstalledError extends Error {}

/** Each resolves when the server answers a login. Throws {@link NotInstalledError}. */
export function startPostgres(options?: PostgresServerOptions): Promise<PrivateServer>;
export function startMysql(options?: MysqlServerOptions): Promise<PrivateServer>;
export function startRedis(options?: RedisServerOptions): Promise<PrivateServer>;

/** Each tells whether a server takes this login and does a first piece of work. */
export function answersPostgres(server: Server): Promise<boolean>;
export function answersMysql(server: Server): Promise<boolean>;
export function answersRedis(server: Server): Promise<boolean>;
