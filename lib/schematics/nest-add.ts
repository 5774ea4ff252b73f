import { enableShutdownHooks } from './main-file.js';
import { type Registration, register, type Wanted } from './module-file.js';
import { requirePackage } from './package-manifest.js';
import { findAppModule, findMainFile, type ProjectOptions, sourceRootOf } from './project.js';
import type { Rule, SchematicContext, SchematicTree } from './schematic.js';
import { SourceText } from './source-text.js';

/** @internal */
export interface NestAddOptions extends ProjectOptions {
  readonly skipInstall?: boolean;
}

/** Boots at once: it needs no account, no network and no further package. */
const EXAMPLE_POOL: Registration = {
  symbol: 'PoolModule',
  from: 'nestjs-pools',
  also: ['customPool'],
  code: `\
PoolModule.forRootAsync({
  pools: ['example'], // the names, one per upstream
  useFactory: () => ({
    // To be replaced by an upstream of yours: nest g -c nestjs-pools upstream <name>
    example: customPool({
      factory: { create: () => ({ openedAt: new Date() }) },
      maxConnections: 2,
    }),
  }),
})`,
};

const HEALTH: Registration = { symbol: 'PoolHealthModule', from: 'nestjs-pools/health', code: 'PoolHealthModule' };

const WANTED: Wanted = {
  registrations: [EXAMPLE_POOL, HEALTH],
  cure: 'Name another module with --module=<file>, or add this to its `imports` by hand:',
};

/**
 * `nest add nestjs-pools`: a pool and the health routes in the application's root module, and shutdown hooks in main.ts.
 * Changes nothing the second time.
 *
 * @internal
 */
export function nestAdd(options: NestAddOptions): Rule {
  return (tree, context) => {
    const sourceRoot = sourceRootOf(tree, options);
    const path = findAppModule(tree, sourceRoot, options.module, 'Name the root module: --module=<file>');
    change(tree, path, (source) => register(source, WANTED));
    requirePackage(tree, context, '@nestjs/terminus', options);
    enableHooks(tree, context, findMainFile(tree, sourceRoot));
  };
}

function enableHooks(tree: SchematicTree, context: SchematicContext, path: string): void {
  const isEnabled = tree.exists(path) && change(tree, path, enableShutdownHooks);
  if (isEnabled) return;
  context.logger.warn(
    `${path}: found no "const app = await NestFactory.create(…)" there. Call app.enableShutdownHooks() where your ` +
      'application is made: without it Nest tells nobody that the process ends, and no pool is closed.',
  );
}

/** Whether the change could be made; one that changes nothing writes nothing. */
function change(tree: SchematicTree, path: string, how: (source: SourceText) => string | undefined): boolean {
  const source = new SourceText(path, tree.readText(path));
  const changed = how(source);
  if (changed !== undefined && changed !== source.text) tree.overwrite(path, changed);
  return changed !== undefined;
}
