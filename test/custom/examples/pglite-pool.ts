import { PGlite, type PGliteOptions } from '@electric-sql/pglite';
import { type ConnectionFactory, customPool, type PoolDefinition, type PoolLimits } from 'nestjs-pools/core';

export interface PglitePoolOptions extends PoolLimits {
  /** Makes the schema and puts in the data: called once, all databases begin as copies of the result. */
  readonly prepare?: (database: PGlite) => Promise<unknown>;
  readonly extensions?: NonNullable<PGliteOptions['extensions']>;
}

/**
 * PostgreSQL databases within this process, in memory, each of them one borrower's own while it is lent.
 *
 * Two uses. With `maxConnections: 1` there is one database, which keeps what is written: the pool is then the queue for it, with
 * deadlines, and with sessions that are clean. With `maxUses: 1` every borrower gets a database that nobody has touched, as tests
 * want it, and the pool keeps `minConnections` of them in stock: opening one takes a second or more.
 */
export function pglitePool({ prepare, extensions, ...limits }: PglitePoolOptions): PoolDefinition<PGlite> {
  return customPool({
    factory: new PgliteFactory(prepare, extensions),
    description: 'PGlite, in memory',
    minConnections: 1,
    maxConnections: 1,
    // One thread serves them all: two that are opened at once take twice as long each.
    maxCreating: 1,
    createTimeoutMs: 120_000,
    acquireTimeoutMs: 120_000,
    // It does not age, and what it holds would be gone.
    maxIdleTimeMs: Infinity,
    maxLifetimeMs: Infinity,
    ...limits,
  });
}

class PgliteFactory implements ConnectionFactory<PGlite> {
  #prepared: Promise<Blob> | undefined;

  constructor(
    private readonly prepare: PglitePoolOptions['prepare'],
    private readonly extensions: PglitePoolOptions['extensions'],
  ) {}

  async create(): Promise<PGlite> {
    // A preparation that has failed is tried again with the next create.
    this.#prepared ??= this.#prepareOnce().catch((error: unknown) => {
      this.#prepared = undefined;
      throw error;
    });
    return PGlite.create({ loadDataDir: await this.#prepared, ...this.#options });
  }

  looksAlive(database: PGlite): boolean {
    return database.ready && !database.closed;
  }

  async isHealthy(database: PGlite): Promise<boolean> {
    await database.query('select 1');
    return true;
  }

  /** Waits for whatever still runs. A transaction that its borrower never ends lets the time limit pass, and so ends here. */
  async reset(database: PGlite): Promise<void> {
    await database.exec('rollback'); // no more than a notice where there is no transaction
    await database.exec('discard all');
  }

  async destroy(database: PGlite): Promise<void> {
    if (!database.closed) await database.close();
  }

  async #prepareOnce(): Promise<Blob> {
    const database = await PGlite.create(this.#options);
    try {
      await this.prepare?.(database);
      return await database.dumpDataDir('none');
    } finally {
      await database.close();
    }
  }

  get #options(): PGliteOptions {
    return this.extensions === undefined ? {} : { extensions: this.extensions };
  }
}
