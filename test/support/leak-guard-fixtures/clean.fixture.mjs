import { spawn } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';

const get = (port, agent) =>
  new Promise((resolve, reject) => {
    http.get({ port, agent }, (response) => response.resume().once('end', resolve)).once('error', reject);
  });

it('opens one of each kind and closes it', async () => {
  const server = http.createServer((_request, response) => response.end('ok'));
  await once(server.listen(0), 'listening');
  const { port } = server.address();
  const agent = new http.Agent({ keepAlive: true, timeout: 60_000 });
  await get(port, agent);
  await get(port); // through the global agent: the server's end closes its idle socket
  await (await fetch(`http://127.0.0.1:${port}`)).text(); // likewise, in Node's own pool
  agent.destroy();
  server.close();

  const worker = new Worker('setInterval(() => {}, 1_000)', { eval: true });
  await once(worker, 'online');
  await worker.terminate();
  await once(spawn(process.execPath, ['--version']), 'close');

  const timeout = setTimeout(() => {}, 60_000).unref();
  const interval = setInterval(() => {}, 60_000);
  clearTimeout(timeout);
  clearInterval(interval);
  await sleep(1);

  const onSignal = () => {};
  process.on('SIGUSR2', onSignal);
  process.off('SIGUSR2', onSignal);
  await expect(Promise.reject(new Error('handled'))).rejects.toThrow('handled');
});
