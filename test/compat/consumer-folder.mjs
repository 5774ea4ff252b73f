import { execFile } from 'node:child_process';
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);
const sources = join(import.meta.dirname, 'app');

/** The module formats, and what package.json calls them. */
export const FORMATS = { CJS: 'commonjs', ESM: 'module' };

const NEST = ['common', 'core', 'microservices', 'platform-express', 'platform-fastify', 'terminus'];
const OTHERS = ['@types/node@20', 'axios', 'reflect-metadata', 'rxjs'];

// A consumer's settings, and all libraries checked: ours must be right by whatever compiler goes with his Nest.
const COMPILER_OPTIONS = {
  target: 'es2022',
  lib: ['es2023', 'esnext.disposable'],
  module: 'nodenext',
  strict: true,
  experimentalDecorators: true,
  emitDecoratorMetadata: true,
  skipLibCheck: false,
  types: ['node'],
  rootDir: '.',
};

/** What a command writes; a failure says all of it, for compilers write their complaints to either stream. */
async function run(command, args, cwd) {
  try {
    return (await execute(command, args, { cwd })).stdout.trim();
  } catch (error) {
    throw new Error(`${command} ${args.join(' ')}\n${error.stdout}\n${error.stderr}`, { cause: error });
  }
}

/**
 * A folder with the package installed beside one major version of Nest, and in it the application, compiled once as a
 * CommonJS and once as an ES module package.
 */
export class ConsumerFolder {
  constructor(path, { nest, typescript }) {
    this.path = path;
    this.nest = nest;
    this.typescript = typescript;
  }

  async install(tarball) {
    await mkdir(this.path);
    await writeFile(join(this.path, 'package.json'), '{ "private": true }');
    const packages = [
      ...NEST.map((name) => `@nestjs/${name}@${this.nest}`),
      `typescript@${this.typescript}`,
      ...OTHERS,
    ];
    await run('npm', ['install', '--silent', '--no-audit', '--no-fund', tarball, ...packages], this.path);
    // Twice that of the tarball, or that of this repository, would prove nothing.
    const found = JSON.parse(await run('npm', ['ls', '--json', '@nestjs/core', 'typescript'], this.path)).dependencies;
    this.versions = `Nest ${found['@nestjs/core'].version}, TypeScript ${found.typescript.version}`;
  }

  async compile(format) {
    const folder = this.of(format);
    await cp(sources, folder, { recursive: true });
    await writeFile(join(folder, 'package.json'), JSON.stringify({ type: FORMATS[format] }));
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: COMPILER_OPTIONS }));
    await run(process.execPath, ['node_modules/typescript/bin/tsc', '-p', folder], this.path);
  }

  /** Where the application of that format is. */
  of(format) {
    return join(this.path, format.toLowerCase());
  }
}
