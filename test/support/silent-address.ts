import { connect, type Socket } from 'node:net';
import { Worker } from 'node:worker_threads';

/** Listens, and then never again looks at who has come. */
const LISTENER = `
  const { parentPort, workerData } = require('node:worker_threads');
  const server = require('node:net').createServer();
  server.listen({ ...workerData, backlog: 1 }, () => {
    parentPort.postMessage(server.address().port);
    Atomics.wait(workerData.alarm, 0, 0);
  });
`;

/** An address that neither takes a connection nor refuses one, as behind a firewall that drops packets. */
export class SilentAddress {
  private constructor(
    readonly port: number,
    private readonly worker: Worker,
    private readonly alarm: Int32Array,
    private readonly fillers: readonly Socket[],
  ) {}

  static async start(host: string, port = 0): Promise<SilentAddress> {
    const alarm = new Int32Array(new SharedArrayBuffer(4));
    const worker = new Worker(LISTENER, { eval: true, workerData: { host, port, alarm } });
    const taken = await new Promise<number>((resolve, reject) => worker.once('message', resolve).once('error', reject));
    // What the system takes on the listener's behalf is taken by these.
    const fillers = Array.from({ length: 8 }, () => connect(taken, host).on('error', () => {}));
    await Promise.all(fillers.slice(0, 2).map((socket) => new Promise((resolve) => socket.once('connect', resolve))));
    // Until then the system counts what has just connected among what is connecting.
    await new Promise((resolve) => setImmediate(resolve));
    return new SilentAddress(taken, worker, alarm, fillers);
  }

  /** From now on it takes whoever comes; the system has them try again every second. */
  wake(): void {
    for (const socket of this.fillers) socket.destroy();
    Atomics.store(this.alarm, 0, 1);
    Atomics.notify(this.alarm, 0);
  }

  async stop(): Promise<void> {
    for (const socket of this.fillers) socket.destroy();
    await this.worker.terminate();
  }
}
