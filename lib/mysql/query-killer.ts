import { connect, type Socket } from 'node:net';
import type { MysqlSettings } from './mysql-settings.js';
import type { PooledConnection } from './pooled-connection.js';

interface Side {
  readonly connection: Promise<PooledConnection>;
  /** Kills that need it. */
  users: number;
}

/**
 * Ends what servers do for connections of a pool, from a connection beside it: at most one for each address, opened when
 * needed and closed when the last one that needs it is done. However many queries are aborted at once, the server takes one
 * connection more than the pool may have.
 *
 * @internal
 */
export class QueryKiller {
  readonly #sides = new Map<string, Side>();

  constructor(
    private readonly settings: MysqlSettings,
    private readonly dial: (signal: AbortSignal, stream?: () => Socket) => Promise<PooledConnection>,
  ) {}

  /**
   * Ends the statement that runs. Resolves to whether the connection may be lent again: the statement has ended, and the kill
   * cannot hit a later one.
   */
  async endStatement(target: PooledConnection, limitMs: number): Promise<boolean> {
    if (this.settings.cancel === 'close') return false;
    try {
      await within(limitMs, async (signal) => {
        await this.send(target, 'KILL QUERY', signal);
        // It may have come after the statement had ended, and MySQL then remembers it for the next one (bug 45679): this one.
        await target.ask('DO SLEEP(0)').catch(unlessInterrupted);
      });
      return target.isUsable;
    } catch {
      return false;
    }
  }

  /** Ends a connection that is closed on our side while the server works for it: it would only notice when it is done. */
  async endConnection(target: PooledConnection, limitMs: number): Promise<void> {
    if (this.settings.cancel === 'close') return;
    await within(limitMs, (signal) => this.send(target, 'KILL', signal)).catch(() => {});
  }

  private async send(target: PooledConnection, command: string, signal: AbortSignal): Promise<void> {
    const { remoteAddress, remotePort } = target.stream;
    const key = `${remoteAddress}:${remotePort}`;
    const side = this.sideTo(key, remoteAddress, remotePort, signal);
    side.users += 1;
    try {
      const connection = await side.connection;
      // One that does not answer keeps nobody waiting, and is of no use to the others either.
      const giveUp = (): void => void connection.stream.destroy();
      signal.addEventListener('abort', giveUp, { once: true });
      await connection.ask(`${command} ${target.threadId}`);
      signal.removeEventListener('abort', giveUp);
    } catch (error) {
      this.forget(key, side);
      throw error;
    } finally {
      side.users -= 1;
      if (side.users === 0) this.close(key, side);
    }
  }

  /** To the very server that runs the query: its name may stand for several. */
  private sideTo(key: string, host: string | undefined, port: number | undefined, signal: AbortSignal): Side {
    const open = this.#sides.get(key);
    if (open !== undefined) return open;
    const stream = host === undefined || port === undefined ? undefined : () => connect(port, host).setNoDelay(true);
    const side: Side = { connection: this.dial(signal, stream), users: 0 };
    this.#sides.set(key, side);
    return side;
  }

  private close(key: string, side: Side): void {
    this.forget(key, side);
    void side.connection.then(
      (connection) => connection.bury(),
      () => {},
    );
  }

  private forget(key: string, side: Side): void {
    if (this.#sides.get(key) === side) this.#sides.delete(key);
  }
}

/** Whether the error says that the kill has struck. */
function unlessInterrupted(error: { readonly errno?: number }): void {
  if (error.errno !== 1317) throw error as Error;
}

async function within<R>(limitMs: number, work: (signal: AbortSignal) => Promise<R>): Promise<R> {
  const limit = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      const error = new Error(`not done within ${limitMs} ms`);
      limit.abort(error);
      reject(error);
    }, limitMs);
  });
  try {
    return await Promise.race([work(limit.signal), tooLate]);
  } finally {
    clearTimeout(timer);
  }
}
