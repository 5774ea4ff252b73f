import { Logger } from '@nestjs/common';
import type { CloseReport, ConnectionPool } from '../core/index.js';
import { nameOf } from '../core/pool-errors.js';

/**
 * Writes a pool's changes of state to Nest's log, under the context `Pool(name)`: that its upstream went and came back, a
 * hook that fails, a lease given back twice. Not every lease.
 *
 * @internal
 */
export class PoolLogger {
  private readonly logger: Logger;
  private failures = 0;
  private hasToldMisuse = false;

  constructor(name: string) {
    this.logger = new Logger(`Pool(${name})`);
  }

  watch(pool: ConnectionPool<unknown>, where: string): void {
    // Tests put plain objects in a pool's place; those tell nothing.
    if (typeof pool.on !== 'function') return;
    pool.on('createError', ({ error, inRow }) => {
      // A create that a close has cancelled says nothing of the upstream.
      if (pool.state === 'closed') return;
      this.failures = inRow;
      if (inRow === 1) this.logger.warn(`cannot open a connection to ${where}: ${nameOf(error)}`);
    });
    pool.on('create', () => {
      if (this.failures > 0) this.logger.log(`connected to ${where} again, after ${this.failures} failed attempts`);
      this.failures = 0;
    });
    pool.on('down', ({ error, inRow }) => {
      this.logger.error(`${where} is down, ${inRow} failed attempts in a row: ${nameOf(error)}; acquires fail at once`);
    });
    pool.on('leak', ({ id, heldMs, stack, isReturned }) => {
      const held = `connection #${id} has been held for ${seconds(heldMs)}`;
      const acquired = stack === undefined ? '' : ` It was acquired\n${stack}`;
      if (isReturned) this.logger.log(`${held}, and was given back after all`);
      else this.logger.warn(`${held}; is it ever given back?${acquired}`);
    });
    pool.on('reclaim', ({ id, heldMs }) => {
      this.logger.warn(
        `connection #${id} was never given back and nobody holds its lease: closed after ${seconds(heldMs)}`,
      );
    });
    pool.on('hookError', ({ hook, id, error }) => {
      this.logger.warn(`${hook} failed${id === undefined ? '' : ` for connection #${id}`}: ${nameOf(error)}`);
    });
    pool.on('misuse', ({ id }) => {
      if (this.hasToldMisuse) return;
      this.hasToldMisuse = true;
      this.logger.warn(`the lease of connection #${id} was given back twice; only the first time counts`);
    });
  }

  closed(report: CloseReport | undefined): void {
    if (report === undefined) return;
    const took = `closed in ${Math.round(report.tookMs)} ms`;
    if (report.forced.length === 0) return this.logger.log(took);
    const held = report.forced.map(({ id, usageCount }) => `#${id} (lease ${usageCount})`).join(', ');
    this.logger.warn(`${took}; taken from borrowers that had not given back: ${held}`);
  }

  failed(what: string, error: unknown): void {
    this.logger.error(`${what} failed: ${nameOf(error)}`);
  }
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1_000)} s`;
}
