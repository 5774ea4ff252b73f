/**
 * What the schematics need of the devkit. It is written down here and not imported: they then load with whichever devkit
 * runs them, that of Nest's CLI 11 or 12, and under package managers that give a package only what it asks for.
 */

/** The project's files, as they will be. Nothing is on disk before the schematic has ended well. @internal */
export interface SchematicTree {
  exists(path: string): boolean;
  readText(path: string): string;
  create(path: string, content: string): void;
  overwrite(path: string, content: string): void;
  getDir(path: string): { readonly subfiles: readonly string[] };
}

/** @internal */
export interface SchematicContext {
  readonly logger: { info(message: string): void; warn(message: string): void };
  addTask(task: { toConfiguration(): { name: string; options: object } }): unknown;
}

/** @internal */
export type Rule = (tree: SchematicTree, context: SchematicContext) => void;
