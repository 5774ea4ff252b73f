import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import ts from 'typescript';
import { call, until } from '../support/sample-process.js';
import { startEmbeddingUpstream } from '../../sample-app/embedding-upstream/embedding-upstream.js';

const root = join(import.meta.dirname, '../..');
const config = ts.readConfigFile(join(root, 'tsconfig.json'), (path) => ts.sys.readFile(path)).config as object;
const { options } = ts.parseJsonConfigFileContent({ ...config, files: [] }, ts.sys, root);

/** Complaints of the compiler about some files, each as `file:line: text`. */
function complaints(files: string[]): string[] {
  const program = ts.createProgram(files, { ...options, noEmit: true, skipLibCheck: true });
  return ts.getPreEmitDiagnostics(program).map(({ file, start, messageText }) => {
    const line = file === undefined ? 0 : file.getLineAndCharacterOfPosition(start ?? 0).line + 1;
    return `${basename(file?.fileName ?? '?')}:${line}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`;
  });
}

describe('the public types', () => {
  it('take what is right and refuse what is wrong', () => {
    const files = readdirSync(import.meta.dirname).filter((file) => file.endsWith('.test-d.ts'));
    expect(files.length).toBeGreaterThan(1);
    expect(complaints(files.map((file) => join(import.meta.dirname, file)))).toEqual([]);
  }, 60_000);
});

describe('the examples of README.md', () => {
  // In the package itself, so that they find it by its own name, as a user's code does.
  const folder = mkdtempSync(join(root, '.readme-'));
  const text = readFileSync(join(root, 'README.md'), 'utf8');
  const examples = [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map((block) => {
    const line = text.slice(0, block.index).split('\n').length;
    // One that says its file's name may be imported by the others.
    const name = /^\/\/ (\S+\.ts)\n/.exec(block[1]!)?.[1] ?? `readme-line-${line}.ts`;
    return { file: join(folder, name), code: `${block[1]}\nexport {};\n` };
  });

  beforeAll(() => {
    for (const { file, code } of examples) writeFileSync(file, code);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('compile, every one', () => {
    expect(examples.length).toBeGreaterThan(10);
    expect(complaints(examples.map(({ file }) => file))).toEqual([]);
  }, 60_000);

  it('print what they say they print', async () => {
    const example = examples.find(({ code }) => code.includes('new ManualClock()'))!;
    const promised = /console\.log\(await waiting\); \/\/ (.*)/.exec(example.code)?.[1];
    const { stdout } = await promisify(execFile)(process.execPath, [transpile(example)]);
    expect(stdout.trim()).toBe(promised);
  });

  it('run, the quick start', async () => {
    examples.forEach(transpile);
    const upstream = await startEmbeddingUpstream({ apiKey: 'sk-quick-start', model: 'text-embedding-3-small' });
    const port = await freePort();
    const env = {
      ...process.env,
      PORT: String(port),
      EMBEDDINGS_URL: upstream.url,
      EMBEDDINGS_API_KEY: 'sk-quick-start',
    };
    const app = spawn(process.execPath, [join(folder, 'main.js')], { env, stdio: ['ignore', 'ignore', 'inherit'] });
    const ended = once(app, 'exit');
    try {
      // Nest says that it has started before it listens; so the port is asked, and not the log.
      await until('the quick start answers', 30_000, async () => {
        if (app.exitCode !== null) throw new Error('the quick start ended');
        return call(`http://127.0.0.1:${port}/health/live`).then(
          () => true,
          () => false,
        );
      });
      const ask = async (path: string): Promise<any> => (await call(`http://127.0.0.1:${port}${path}`)).json;
      const { similarity, database } = await ask('/similarity?a=a%20pool%20of%20connections&b=connection%20pools');
      expect(similarity).toBeGreaterThan(0.3);
      expect(database).toContain('PostgreSQL');
      expect((await ask('/health/ready')).status).toBe('ok');
    } finally {
      app.kill('SIGTERM');
      await ended;
      await upstream.close();
    }
  }, 60_000);
});

function transpile({ file, code }: { file: string; code: string }): string {
  const output = file.replace(/ts$/, 'js');
  const compilerOptions = { ...options, module: ts.ModuleKind.ESNext };
  writeFileSync(output, ts.transpileModule(code, { compilerOptions }).outputText);
  return output;
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}
