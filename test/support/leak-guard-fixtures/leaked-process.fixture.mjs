import { spawn } from 'node:child_process';

it('leaves a child process running', () => {
  spawn(process.execPath, ['-e', 'setTimeout(() => {}, 3_000)'], { stdio: 'ignore' }).unref();
});
