import { readdir, readFile } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';

export interface MarkdownFile {
  /** Its path below the folder, with slashes. */
  readonly source: string;
  readonly markdown: string;
}

/** Folders that hold what others wrote or what a program made. */
const FOREIGN = new Set(['node_modules', 'dist', 'dist-sample', 'coverage']);

/** Every Markdown file below the folder, those nearest to it first; hidden folders and foreign ones are left out. */
export async function readMarkdownFiles(folder: string): Promise<MarkdownFile[]> {
  const paths = await findMarkdown(folder);
  return Promise.all(
    paths.map(async (path) => ({
      source: relative(folder, path).split(sep).join('/'),
      markdown: await readFile(path, 'utf8'),
    })),
  );
}

async function findMarkdown(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  entries.sort((one, other) => one.name.localeCompare(other.name, 'en'));
  const files = entries.filter((entry) => entry.isFile() && /\.md$/iu.test(entry.name));
  const folders = entries.filter(
    (entry) => entry.isDirectory() && !entry.name.startsWith('.') && !FOREIGN.has(entry.name),
  );
  const below = await Promise.all(folders.map(({ name }) => findMarkdown(join(folder, name))));
  return [...files.map(({ name }) => join(folder, name)), ...below.flat()];
}
