import { foldersThatMayImport } from './house-rules.js';
import { readJson, readLibrary } from './library-sources.js';

type Ranges = Record<string, string>;

interface Manifest {
  readonly engines: Ranges;
  readonly dependencies?: Ranges;
  readonly devDependencies: Ranges;
  readonly optionalDependencies?: Ranges;
  readonly peerDependencies: Ranges;
  readonly peerDependenciesMeta: Record<string, { readonly optional?: boolean }>;
}

interface Locked extends Partial<Manifest> {
  readonly version?: string;
  readonly resolved?: string;
}

const manifest = readJson<Manifest>('package.json');
const locked = readJson<{ packages: Record<string, Locked> }>('package-lock.json').packages;
const imported = readLibrary().flatMap(({ path, section, imports }) =>
  imports.flatMap(({ package: name }) => (name && !name.startsWith('node:') ? [{ path, section, name }] : [])),
);
const isOptional = (peer: string) => manifest.peerDependenciesMeta[peer]?.optional === true;
const optionalPeers = Object.keys(manifest.peerDependenciesMeta).filter(isOptional);

describe('package.json', () => {
  it('runs on the Node versions that the library promises', () => {
    expect(manifest.engines).toEqual({ node: '^20.19.0 || ^22.12.0 || >=24.0.0' });
  });

  it('asks for Nest 11 or 12 and what Nest itself asks for, and for nothing else', () => {
    const required = Object.entries(manifest.peerDependencies).filter(([peer]) => !isOptional(peer));
    expect(Object.fromEntries(required)).toEqual({
      '@nestjs/common': '^11.0.0 || ^12.0.0',
      '@nestjs/core': '^11.0.0 || ^12.0.0',
      'reflect-metadata': '^0.2.0',
      rxjs: '^7.2.0',
    });
    expect(manifest.peerDependencies['@nestjs/terminus']).toBe('^11.0.0 || ^12.0.0');
  });

  it('says of no package that it is an optional peer without asking for it as a peer', () => {
    expect(Object.keys(manifest.peerDependencies)).toEqual(expect.arrayContaining(optionalPeers));
  });

  it('names every package that lib/ imports', () => {
    const named = { ...manifest.peerDependencies, ...manifest.dependencies };
    expect(imported.filter(({ name }) => !Object.hasOwn(named, name))).toEqual([]);
    expect(imported).not.toEqual([]);
  });

  it.each(optionalPeers)('has %s imported by its own entries only, so that others work without it', (peer) => {
    const folders = foldersThatMayImport(peer);
    expect(folders).not.toEqual([]);
    expect(imported.filter(({ name, section }) => name === peer && !folders.includes(section))).toEqual([]);
  });

  it('keeps Terminus to health, axios to http and embedding, and TypeScript to the schematics', () => {
    expect(foldersThatMayImport('@nestjs/terminus')).toEqual(['health']);
    expect(foldersThatMayImport('axios')).toEqual(['http', 'embedding']);
    expect(foldersThatMayImport('typescript')).toEqual(['schematics']);
  });
});

describe('package-lock.json', () => {
  it('was written for this package.json', () => {
    for (const field of ['dependencies', 'devDependencies', 'optionalDependencies', 'peerDependencies'] as const) {
      expect({ [field]: locked['']?.[field] }).toEqual({ [field]: manifest[field] });
    }
  });

  it('has an entry for every platform of every package, so that npm ci passes on macOS and Windows too', () => {
    const wanted = Object.entries(locked).flatMap(([path, { optionalDependencies = {} }]) =>
      Object.entries(optionalDependencies).map(([name, range]) => ({ path, name, range })),
    );
    const isExact = /^\d+\.\d+\.\d+/;
    const missing = wanted.filter(({ path, name, range }) => {
      const found = findLocked(path, name);
      return found === undefined || (isExact.test(range) && found.version !== range);
    });
    expect(missing).toEqual([]);
    expect(wanted.map(({ name }) => name)).toContain('@swc/core-darwin-arm64');
  });

  it('takes everything from the public registry', () => {
    const elsewhere = Object.entries(locked).filter(
      ([, { resolved }]) => resolved !== undefined && !resolved.startsWith('https://registry.npmjs.org/'),
    );
    expect(elsewhere).toEqual([]);
  });
});

/** Looks where Node would: beside the package's own modules, then up the tree. */
function findLocked(from: string, name: string): Locked | undefined {
  for (let folder = from; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/node_modules/')))) {
    const found = locked[folder === '' ? `node_modules/${name}` : `${folder}/node_modules/${name}`];
    if (found || folder === '') return found;
  }
}
