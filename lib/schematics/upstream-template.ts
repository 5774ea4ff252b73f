import type { UpstreamName } from './upstream-name.js';

interface UrlKind {
  /** The function that makes the definition; the entry point has the kind's name. */
  readonly define: string;
  readonly type: string;
  /** The option that takes the URL. */
  readonly option: string;
  readonly example: string;
  readonly maxConnections: number;
  /** Packages that it needs, and those that only the compiler needs. */
  readonly packages: readonly string[];
  readonly types?: readonly string[];
}

/** Kinds whose address is a URL. @internal */
export const URL_KINDS = {
  http: {
    define: 'httpPool',
    type: 'HttpPool',
    option: 'baseURL',
    example: 'http://localhost:8080',
    maxConnections: 20,
    packages: ['axios'],
  },
  postgres: {
    define: 'postgresPool',
    type: 'PostgresPool',
    option: 'connectionString',
    example: 'postgres://user:password@localhost:5432/database',
    maxConnections: 10,
    packages: ['pg'],
    types: ['@types/pg'],
  },
  mysql: {
    define: 'mysqlPool',
    type: 'MysqlPool',
    option: 'uri',
    example: 'mysql://user:password@localhost:3306/database',
    maxConnections: 10,
    packages: ['mysql2'],
  },
  redis: {
    define: 'redisPool',
    type: 'RedisPool',
    option: 'url',
    example: 'redis://localhost:6379/0',
    maxConnections: 10,
    packages: ['ioredis'],
  },
} as const satisfies Record<string, UrlKind>;

/** A kind of upstream that can be generated. @internal */
export type UpstreamKind = keyof typeof URL_KINDS | 'custom';

/** The text of an upstream's file. @internal */
export function upstreamText(kind: UpstreamKind, name: UpstreamName): string {
  return kind === 'custom' ? customText(name) : urlText(kind, URL_KINDS[kind], name);
}

/** The name of the dynamic module that the file exports. @internal */
export function upstreamSymbol({ pool }: UpstreamName): string {
  return `${pool}Upstream`;
}

function urlText(kind: string, { define, type, option, example, maxConnections }: UrlKind, name: UpstreamName): string {
  const body = `return ${define}({ ${option}: url, maxConnections: ${maxConnections} });`;
  return `\
import { PoolModule } from 'nestjs-pools';
import { type ${type}, ${define} } from 'nestjs-pools/${kind}';

${typesText(name.pool, type)}

${moduleText(name, example, [body])}
`;
}

function customText(name: UpstreamName): string {
  const connection = `${name.type}Connection`;
  return `\
import {
  type ConnectionFactory,
  type ConnectionPool,
  customPool,
  PoolModule,
} from 'nestjs-pools';

/** What the pool holds: put your client's type in its place. */
export interface ${connection} {
  readonly url: string;
  close(): Promise<void>;
}

${typesText(name.pool, `ConnectionPool<${connection}>`)}

${moduleText(name, URL_KINDS.http.example, [
  'const factory: ConnectionFactory<' + connection + '> = {',
  '  // Opens a connection: put what your client has for it here.',
  '  create: () => ({ url, close: () => Promise.resolve() }),',
  '  destroy: (connection) => connection.close(),',
  '};',
  'return customPool({',
  '  factory,',
  `  description: '${name.pool}',`,
  '  maxConnections: 10,',
  '});',
])}
`;
}

function typesText(pool: string, type: string): string {
  return `\
// Tells its type wherever the pool is asked for by its name.
declare module 'nestjs-pools' {
  interface PoolRegistryTypes {
    ${pool}: ${type};
  }
}`;
}

function moduleText(name: UpstreamName, example: string, body: readonly string[]): string {
  return `\
/** Import it once. Then every class can have \`@InjectPool('${name.pool}')\`. */
export const ${upstreamSymbol(name)} = PoolModule.forFeatureAsync({
  name: '${name.pool}',
  useFactory: () => {
    const url = process.env.${name.variable};
    if (!url) {
      throw new Error(
        '${name.variable} is not set: the upstream "${name.pool}" needs its URL, as in ${example}',
      );
    }
${body.map((line) => `    ${line}`).join('\n')}
  },
});`;
}
