import { posix } from 'node:path';
import { type Registration, register } from './module-file.js';
import { isEsmProject, requirePackage } from './package-manifest.js';
import { findAppModule, type ProjectOptions, sourceRootOf } from './project.js';
import type { Rule, SchematicContext, SchematicTree } from './schematic.js';
import { SourceText } from './source-text.js';
import { parseUpstreamName } from './upstream-name.js';
import { type UpstreamKind, upstreamSymbol, upstreamText, URL_KINDS } from './upstream-template.js';

const WRITE_ONLY = 'Run it with --skip-import, and import what it writes in a module of yours.';

/** @internal */
export interface UpstreamOptions extends ProjectOptions {
  readonly name: string;
  readonly kind?: UpstreamKind;
  readonly path?: string;
  readonly flat?: boolean;
  readonly skipImport?: boolean;
  readonly skipInstall?: boolean;
}

/**
 * `nest g -c nestjs-pools upstream my-search`: a file that defines a pool and its type, registered in the root module.
 *
 * @internal
 */
export function upstream({ kind = 'http', flat = false, skipImport = false, ...options }: UpstreamOptions): Rule {
  return (tree, context) => {
    const name = parseUpstreamName(options.name);
    const symbol = upstreamSymbol(name);
    const sourceRoot = sourceRootOf(tree, options);
    const path = posix.join(
      sourceRoot,
      options.path ?? '',
      name.folder,
      flat ? '' : 'upstreams',
      `${name.file}.upstream.ts`,
    );
    if (tree.exists(path))
      throw new Error(`${path}: it is there already. Choose another name, or remove the file first.`);

    if (!skipImport) registerUpstream(tree, findAppModule(tree, sourceRoot, options.module, WRITE_ONLY), path, symbol);
    tree.create(path, upstreamText(kind, name));
    if (kind !== 'custom') requirePackages(tree, context, kind, options);

    const importIt = skipImport ? `import ${symbol} in a module, ` : '';
    context.logger.info(`Next: ${importIt}set ${name.variable}, and inject the pool with @InjectPool('${name.pool}').`);
  };
}

// The other kinds are schematics of their own, for `nest generate` refuses options that it does not know.

/** The same with a pool of PostgreSQL clients. @internal */
export function postgresUpstream(options: UpstreamOptions): Rule {
  return upstream({ ...options, kind: 'postgres' });
}

/** The same with a pool of MySQL or MariaDB connections. @internal */
export function mysqlUpstream(options: UpstreamOptions): Rule {
  return upstream({ ...options, kind: 'mysql' });
}

/** The same with a pool of Redis clients. @internal */
export function redisUpstream(options: UpstreamOptions): Rule {
  return upstream({ ...options, kind: 'redis' });
}

/** The same with a factory to be written. @internal */
export function customUpstream(options: UpstreamOptions): Rule {
  return upstream({ ...options, kind: 'custom' });
}

function requirePackages(
  tree: SchematicTree,
  context: SchematicContext,
  kind: Exclude<UpstreamKind, 'custom'>,
  options: UpstreamOptions,
): void {
  const { packages, types = [] }: { readonly packages: readonly string[]; readonly types?: readonly string[] } =
    URL_KINDS[kind];
  for (const name of packages) requirePackage(tree, context, name, options);
  for (const name of types) requirePackage(tree, context, name, { ...options, isDev: true });
}

function registerUpstream(tree: SchematicTree, module: string, path: string, symbol: string): void {
  const source = new SourceText(module, tree.readText(module));
  const ending = source.relativeImportEnding() ?? (isEsmProject(tree) ? '.js' : '');
  const relative = posix.relative(posix.dirname(module), path).replace(/\.ts$/, ending);
  const from = relative.startsWith('.') ? relative : `./${relative}`;
  const registration: Registration = { symbol, from, code: symbol };
  tree.overwrite(module, register(source, { registrations: [registration], cure: `${WRITE_ONLY} Then it takes:` }));
}
