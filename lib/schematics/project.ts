import { posix } from 'node:path';
import ts from 'typescript';
import type { SchematicTree } from './schematic.js';

/** What says where in a project to work. @internal */
export interface ProjectOptions {
  readonly module?: string;
  readonly project?: string;
  readonly sourceRoot?: string;
}

interface ProjectConfiguration {
  readonly sourceRoot?: string;
  readonly entryFile?: string;
}

interface NestConfiguration extends ProjectConfiguration {
  readonly projects?: Readonly<Record<string, ProjectConfiguration>>;
}

/** The names that Nest's CLI knows. */
const CONFIGURATION_FILES = ['nest-cli.json', '.nestcli.json', '.nest-cli.json', 'nest.json'];

/** Nest's CLI gives the source root. Without it, as under the devkit's own CLI, nest-cli.json says it. @internal */
export function sourceRootOf(tree: SchematicTree, { project, sourceRoot }: ProjectOptions): string {
  if (sourceRoot !== undefined) return folderOf(sourceRoot);
  const configuration = readConfiguration(tree);
  const { projects = {} } = configuration;
  if (project !== undefined && projects[project] === undefined) {
    const known = Object.keys(projects).join(', ') || 'none';
    throw new Error(`nest-cli.json: it has no project "${project}". Projects there: ${known}.`);
  }
  const configured = project === undefined ? configuration : projects[project];
  return folderOf(configured?.sourceRoot ?? 'src');
}

/**
 * The application's root module: `app.module.ts`, also above the source root, which `generateOptions.baseDir` moves down;
 * else the only module there, as in the applications of a monorepo.
 *
 * @throws if there is none, or none that stands out
 * @internal
 */
export function findAppModule(
  tree: SchematicTree,
  sourceRoot: string,
  module: string | undefined,
  cure: string,
): string {
  if (module !== undefined) {
    const candidates = ['', sourceRoot].flatMap((folder) =>
      ['', '.ts', '.module.ts'].map((ending) => posix.join(folder, `${module}${ending}`)),
    );
    const found = candidates.find((path) => path.endsWith('.ts') && tree.exists(path));
    if (found !== undefined) return found;
    throw new Error(`${module}: no such module, neither from the project's root nor from ${sourceRoot}/.`);
  }
  const found = withParents(sourceRoot)
    .map((folder) => posix.join(folder, 'app.module.ts'))
    .find((path) => tree.exists(path));
  if (found !== undefined) return found;
  const modules = tree.getDir(sourceRoot).subfiles.filter((file) => file.endsWith('.module.ts'));
  if (modules.length === 1) return posix.join(sourceRoot, modules[0]!);
  const instead = modules.length === 0 ? '' : ` ${sourceRoot}/ has ${modules.join(', ')}.`;
  throw new Error(
    `${posix.join(sourceRoot, 'app.module.ts')}: there is no such file, so nothing was changed.${instead} ${cure}`,
  );
}

/** The file that boots the application, if it is there. @internal */
export function findMainFile(tree: SchematicTree, sourceRoot: string): string {
  const configuration = readConfiguration(tree);
  const projects = Object.values(configuration.projects ?? {});
  const project = projects.find((one) => one.sourceRoot !== undefined && folderOf(one.sourceRoot) === sourceRoot);
  return posix.join(sourceRoot, `${project?.entryFile ?? configuration.entryFile ?? 'main'}.ts`);
}

/** On Windows, Nest's CLI joins it with backslashes. */
function folderOf(path: string): string {
  return posix.join(path.replaceAll('\\', '/'), '.');
}

function withParents(folder: string): string[] {
  const parent = posix.dirname(folder);
  return parent === folder ? [folder] : [folder, ...withParents(parent)];
}

function readConfiguration(tree: SchematicTree): NestConfiguration {
  const file = CONFIGURATION_FILES.find((name) => tree.exists(name));
  if (file === undefined) return {};
  // Nest's CLI allows comments in it.
  return (ts.parseConfigFileTextToJson(file, tree.readText(file)).config ?? {}) as NestConfiguration;
}
