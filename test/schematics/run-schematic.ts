import { posix } from 'node:path';
import type { Rule as DevkitRule } from '@angular-devkit/schematics';
import { format } from 'prettier';
import type { Rule, SchematicTree } from '../../lib/schematics/schematic.js';

type Files = Readonly<Record<string, string>>;

interface Ran {
  readonly files: Files;
  readonly told: readonly string[];
  readonly tasks: readonly object[];
  /** What the schematic failed with. */
  readonly error: string | undefined;
}

/** Files that are in memory alone. The devkit's own tree is none that Jest can load; test/compat/schematics.mjs has that one. */
class MemoryTree implements SchematicTree {
  private readonly files: Map<string, string>;

  constructor(files: Files) {
    this.files = new Map(Object.entries(files));
  }

  exists(path: string): boolean {
    return this.files.has(path);
  }

  readText(path: string): string {
    const text = this.files.get(path);
    if (text === undefined) throw new Error(`${path} does not exist`);
    return text;
  }

  create(path: string, content: string): void {
    if (this.files.has(path)) throw new Error(`${path} exists`);
    this.files.set(path, content);
  }

  overwrite(path: string, content: string): void {
    this.readText(path);
    this.files.set(path, content);
  }

  getDir(path: string): { readonly subfiles: readonly string[] } {
    const here = [...this.files.keys()].filter((file) => posix.dirname(file) === path);
    return { subfiles: here.map((file) => posix.basename(file)) };
  }

  all(): Files {
    return Object.fromEntries(this.files);
  }
}

/** Runs a schematic. What is there after it failed is told too, although the devkit would not write it. */
export function runSchematic(rule: Rule, before: Files): Ran {
  // That the devkit's tree and context have what the schematics need is for the compiler to say.
  rule satisfies DevkitRule;
  const tree = new MemoryTree(before);
  const told: string[] = [];
  const tasks: object[] = [];
  try {
    rule(tree, {
      logger: { info: (text) => told.push(text), warn: (text) => told.push(text) },
      addTask: (task) => tasks.push(task.toConfiguration()),
    });
  } catch (error) {
    return { files: tree.all(), told, tasks, error: (error as Error).message };
  }
  return { files: tree.all(), told, tasks, error: undefined };
}

/** As `npm run format` of a fresh application would have it. */
export function formatted(text: string): Promise<string> {
  return format(text, { parser: 'typescript', singleQuote: true, trailingComma: 'all' });
}
