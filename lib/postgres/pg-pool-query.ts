import { type Client, DatabaseError, Query } from 'pg';
import { isUsable, type PgLease } from './pg-pool-lease.js';

/** @internal */
export type QueryDone = (error?: Error | null, result?: unknown) => void;

/** What pg's own queries, pg-cursor and pg-query-stream have in common. */
interface Submittable {
  submit(connection: unknown): void;
  handleError?(error: unknown): void;
  readonly callback?: unknown;
  readonly destroyed?: boolean;
}

/** After an error the server says in a second packet that it is ready again. Without it in this time, the client is closed. */
const READY_WITHIN_MS = 1_000;

/**
 * Runs one query on a client of its own, which goes back before the caller hears of the result.
 *
 * @internal
 */
export function runQuery(borrowed: Promise<PgLease>, query: unknown, values: unknown, done: QueryDone): void {
  borrowed.then(
    (lease) => {
      if (isSubmittable(query)) submit(lease, query, values, done);
      else ask(lease, query, values, answerOf(lease, query, done));
    },
    (error: Error) => {
      // Whoever reads from the stream would wait for ever. A plain query has no reader but the one that is told below.
      if (isSubmittable(query) && (query.callback !== undefined || !(query instanceof Query)))
        query.handleError?.(error);
      process.nextTick(done, error);
    },
  );
}

function ask(lease: PgLease, query: unknown, values: unknown, answer: QueryDone): void {
  try {
    lease.client.query(query as string, values as unknown[], answer);
  } catch (error) {
    // In a tick of its own: what the caller's callback throws is then an exception, and no rejection of a promise of ours.
    process.nextTick(answer, error as Error);
  }
}

/**
 * A cursor and a query with a callback of its own never call ours, and are over when the client has nothing left to do.
 */
function submit(lease: PgLease, query: Submittable, values: unknown, done: QueryDone): void {
  const { client } = lease;
  const answer = answerOf(lease, query, (error, result) => {
    client.off('drain', over);
    client.off('end', over);
    done(error, result);
  });
  const over = (): void => answer();
  // A stream that its reader has left already would hold the client for ever.
  if (query.destroyed === true) return over();
  client.once('drain', over);
  client.once('end', over);
  ask(lease, query, values, answer);
  // In pipeline mode pg refuses what is no plain query, and tells the query alone.
  if (client.pipeline && !(query instanceof Query)) setImmediate(over);
}

/** Gives the client back at the first answer: pg tells of a value that it cannot send, and then of the empty result too. */
function answerOf(lease: PgLease, query: unknown, done: QueryDone): QueryDone {
  let isAnswered = false;
  const giveBack = (reason: Error | null | undefined, isFit: boolean, result?: unknown): void => {
    try {
      lease.end(reason, isFit);
    } catch (listenerError) {
      return done(listenerError as Error);
    }
    done(reason ?? undefined, result);
  };
  return (error, result) => {
    if (isAnswered) return;
    isAnswered = true;
    if (!error) giveBack(error, true, result);
    else if (!isAnswerOfServer(error) || isPaged(query) || !isUsable(lease.client)) giveBack(error, false);
    else whenReady(lease.client, (isClean) => giveBack(error, isClean));
  };
}

/**
 * Whether the statement was wrong and not the connection. A server whose messages are in another language than English calls
 * it by another word; its clients are closed, as pg-pool closes them all.
 */
function isAnswerOfServer(error: Error): boolean {
  return error instanceof DatabaseError && error.severity === 'ERROR';
}

/** A query that fetches `rows` at a time: pg never tells the server to go on after its error, and the client stays stuck. */
function isPaged(query: unknown): boolean {
  return Boolean((query as { rows?: number } | undefined)?.rows);
}

/** Waits until the client is ready after an error, and tells whether it is outside of a transaction. */
function whenReady(client: Client, then: (isClean: boolean) => void): void {
  const finish = (isClean: boolean): void => {
    clearTimeout(timer);
    client.off('drain', ready);
    client.off('end', lost);
    then(isClean);
  };
  const ready = (): void => finish(client.getTransactionStatus() === 'I');
  const lost = (): void => finish(false);
  const timer = setTimeout(lost, READY_WITHIN_MS);
  client.once('drain', ready);
  client.once('end', lost);
}

function isSubmittable(query: unknown): query is Submittable {
  return typeof (query as Partial<Submittable> | null | undefined)?.submit === 'function';
}
