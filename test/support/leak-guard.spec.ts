import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, basename } from 'node:path';

interface FileResult {
  readonly name: string;
  readonly status: 'passed' | 'failed';
  readonly message: string;
}

const here = import.meta.dirname;
const root = join(here, '../..');

/** What each fixture must be told; the place must follow wherever the guard can know it. */
const TOLD: Record<string, readonly RegExp[]> = {
  'unhandled-rejection': [/unhandled rejection: Error: nobody listens/],
  'late-handler': [/unhandled rejection, handled too late .*: Error: too late/],
  'leaked-server': [/listening server \(TCPSERVERWRAP port \d+, unref'd\), \d\.\d s old/],
  'leaked-socket': [/TCP socket \(TCPWRAP port \d+ to 127\.0\.0\.1:\d+\)/, /accepted by a server/],
  'leaked-agent': [/TCP socket \(TCPWRAP port \d+ to 127\.0\.0\.1:\d+/],
  'leaked-timer': [/timer \(timeout of 60000 ms\)/],
  'leaked-unref-timer': [/timer \(interval of 60000 ms, unref'd\)/],
  'leaked-process': [/child process \(pid \d+, unref'd\)/],
  'leaked-listener': [/listener for 'SIGUSR2' on process/],
  'piled-up-listeners': [/MaxListenersExceededWarning/],
};

describe('The leak guard', () => {
  let exitCode: number | null;
  const results = new Map<string, FileResult>();

  beforeAll(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'leak-guard-'));
    try {
      const outputFile = join(folder, 'results.json');
      const config = join(here, 'leak-guard-fixtures.jest.config.mjs');
      const jest = join(root, 'node_modules/jest/bin/jest.js');
      const child = spawn(
        process.execPath,
        ['--experimental-vm-modules', jest, '--config', config, '--runInBand', '--json', '--outputFile', outputFile],
        { cwd: root, stdio: 'ignore' },
      );
      // 'exit' comes only if nothing that leaked keeps the run alive; Jest's own time limit is the watchdog.
      [exitCode] = await once(child, 'exit');
      const { testResults } = JSON.parse(await readFile(outputFile, 'utf8')) as { testResults: FileResult[] };
      for (const result of testResults) results.set(basename(result.name, '.fixture.mjs'), result);
    } finally {
      await rm(folder, { recursive: true });
    }
  }, 60_000);

  it('passes a file that closes all it opened', () => {
    expect(results.get('clean')).toMatchObject({ status: 'passed', message: '' });
  });

  it.each(Object.keys(TOLD))('fails a file for: %s, and says what and where', (fixture) => {
    const { status, message } = results.get(fixture)!;
    expect(status).toBe('failed');
    for (const told of TOLD[fixture]!) expect(message).toMatch(told);
    expect(message).toMatch(new RegExp(`${fixture}\\.fixture\\.mjs:\\d+:\\d+`));
  });

  it('fails the run, which ends by itself', () => {
    expect(exitCode).toBe(1);
  });

  it('has an expectation for every fixture', async () => {
    const fixtures = (await readdir(join(here, 'leak-guard-fixtures'))).map((file) => basename(file, '.fixture.mjs'));
    expect(fixtures.toSorted()).toEqual(['clean', ...Object.keys(TOLD)].toSorted());
    expect([...results.keys()].toSorted()).toEqual(fixtures.toSorted());
  });
});
