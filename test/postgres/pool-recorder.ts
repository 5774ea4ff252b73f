import type { Client, Pool, PoolClient } from 'pg';
import { eventually } from '../support/http-server.js';

/** Writes down what somebody who has a `pg.Pool` can see of it: events, counts, errors, in their order. */
export class PoolRecorder {
  readonly log: string[] = [];
  private readonly names = new Map<unknown, string>();

  constructor(readonly pool: Pool) {
    for (const event of ['connect', 'acquire', 'remove'] as const) {
      pool.on(event, (client: PoolClient) => this.note(`${event} ${this.nameOf(client)}`));
    }
    for (const event of ['release', 'error'] as const) {
      pool.on(event, (error, client) => this.note(`${event} ${textOf(error)} ${this.nameOf(client)}`));
    }
  }

  note(line: string): void {
    this.log.push(line);
  }

  /** total, idle, waiting. */
  counts(when: string): void {
    const { totalCount, idleCount, waitingCount } = this.pool;
    this.note(`${when}: ${totalCount} in all, ${idleCount} idle, ${waitingCount} waiting`);
  }

  nameOf(client: Client): string {
    const name = this.names.get(client) ?? `client ${this.names.size + 1}`;
    this.names.set(client, name);
    return name;
  }

  async outcome(of: string, work: Promise<unknown> | (() => unknown)): Promise<void> {
    try {
      const result = typeof work === 'function' ? await work() : await work;
      this.note(`${of}: ${JSON.stringify((result as { rows?: unknown } | undefined)?.rows)}`);
    } catch (error) {
      this.note(`${of} failed: ${textOf(error)}`);
    }
  }

  /** Waits until this has been written down. */
  async heard(line: string, times = 1): Promise<void> {
    await eventually(() => this.log.filter((one) => one === line).length >= times, `"${line}" is heard`);
  }
}

function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as { code?: string };
  return `${error.constructor.name}${code === undefined ? '' : ` ${code}`} "${error.message}"`;
}
