import type { UpstreamName } from './upstream-name.js';

/** A kind of upstream that can be generated. @internal */
export type UpstreamKind = 'http' | 'custom';

/** The text of an upstream's file. @internal */
export function upstreamText(kind: UpstreamKind, name: UpstreamName): string {
  return kind === 'http' ? httpText(name) : customText(name);
}

/** The name of the dynamic module that the file exports. @internal */
export function upstreamSymbol({ pool }: UpstreamName): string {
  return `${pool}Upstream`;
}

function httpText(name: UpstreamName): string {
  return `\
import { PoolModule } from 'nestjs-pools';
import { type HttpPool, httpPool } from 'nestjs-pools/http';

${typesText(name.pool, 'HttpPool')}

${moduleText(name, ['return httpPool({ baseURL: url, maxConnections: 20 });'])}
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

${moduleText(name, [
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

function moduleText(name: UpstreamName, body: readonly string[]): string {
  return `\
/** Import it once. Then every class can have \`@InjectPool('${name.pool}')\`. */
export const ${upstreamSymbol(name)} = PoolModule.forFeatureAsync({
  name: '${name.pool}',
  useFactory: () => {
    const url = process.env.${name.variable};
    if (!url) {
      throw new Error(
        '${name.variable} is not set: the upstream "${name.pool}" needs its URL, as in http://localhost:8080',
      );
    }
${body.map((line) => `    ${line}`).join('\n')}
  },
});`;
}
