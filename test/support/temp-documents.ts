import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder of Markdown files for one test file. */
export class TempDocuments {
  private constructor(readonly folder: string) {}

  static async with(files: Readonly<Record<string, string>> = SMALL): Promise<TempDocuments> {
    const folder = await mkdtemp(join(tmpdir(), 'nestjs-pools-'));
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
    return new TempDocuments(folder);
  }

  remove(): Promise<void> {
    return rm(this.folder, { recursive: true, force: true });
  }
}

const SMALL = {
  'README.md': [
    '# Pools',
    'Connections to every upstream.',
    '## Shutdown',
    'On SIGTERM the pool drains: requests in flight are still served, then every connection is closed.',
    '## Limits',
    'At most twenty connections are opened; the others wait in a queue.',
  ].join('\n\n'),
};
