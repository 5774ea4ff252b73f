import { existsSync } from 'node:fs';
import { join } from 'node:path';
import * as nestAddFile from '../../lib/schematics/nest-add.js';
import * as upstreamFile from '../../lib/schematics/upstream.js';
import { readJson } from '../house/library-sources.js';

interface Schematic {
  readonly factory: string;
  readonly schema: string;
  readonly aliases?: readonly string[];
}

const { schematics } = readJson<{ schematics: Record<string, Schematic> }>('lib/schematics/collection.json');
const factories: Record<string, object> = { './nest-add': nestAddFile, './upstream': upstreamFile };

describe('The collection of schematics', () => {
  it('is where package.json says, once lib/ is built', () => {
    expect(readJson<{ schematics: string }>('package.json').schematics).toBe('./dist/schematics/collection.json');
    const { include } = readJson<{ include: string[] }>('lib/tsconfig.json');
    expect(include).toContain('schematics/*.json');
  });

  it('has the schematic that `nest add` runs', () => {
    expect(Object.keys(schematics)).toContain('nest-add');
  });

  it.each(Object.entries(schematics))('finds the function and the options of %s', (_, { factory, schema }) => {
    const [file, name] = factory.split('#');
    expect(factories[file!]).toHaveProperty(name!, expect.any(Function));
    expect(existsSync(join(import.meta.dirname, '../../lib/schematics', schema))).toBe(true);
  });

  it('has no name twice', () => {
    const names = Object.entries(schematics).flatMap(([name, { aliases = [] }]) => [name, ...aliases]);
    expect(new Set(names).size).toBe(names.length);
  });
});
