/**
 * Every attempt of {@link RedisPool.transaction} found that somebody else had written one of its keys meanwhile.
 *
 * @publicApi
 */
export class RedisConflictError extends Error {
  readonly code = 'REDIS_CONFLICT';
  /** The same call may succeed a little later. */
  readonly retryable = true;

  constructor(
    /** How often it was tried. */
    readonly attempts: number,
  ) {
    super(`the watched keys were written by others in each of ${attempts} attempts`);
    this.name = 'RedisConflictError';
  }
}

/** Whether it is the server's own answer, so that the connection still talks. @internal */
export function isReply(error: unknown): error is Error {
  return error instanceof Error && error.name === 'ReplyError';
}

/** The first word of the server's answer: `WRONGPASS`, `LOADING`, `ERR`. @internal */
export function replyCode(error: unknown): string | undefined {
  return isReply(error) ? error.message.split(' ', 1)[0] : undefined;
}

/** Answers that the same settings will get again, however long one waits. */
const LASTING = new Set(['WRONGPASS', 'NOAUTH', 'NOPERM', 'NOPROTO']);
/** The same, of servers that say no more than `ERR`. */
const LASTING_ERR = /^ERR (invalid password|AUTH |Client sent AUTH|DB index|invalid DB index|SELECT is not allowed)/i;

function willLast(answer: Error): boolean {
  return LASTING.has(replyCode(answer) ?? '') || LASTING_ERR.test(answer.message);
}

/** @internal */
export function connectionClosed(): Error {
  return Object.assign(new Error('the server closed the connection'), { code: 'ECONNRESET' });
}

/** A reason why a connection is not for the next borrower. @internal */
export function notReusable(why: string): Error {
  return Object.assign(new Error(`the connection cannot be lent again: ${why}`), { code: 'REDIS_NOT_REUSABLE' });
}

/** What ioredis says when a connection ends, whatever the reason. */
const CLOSED = 'Connection is closed.';
/** It says the same where they answer that they do not know the name. */
const NO_SENTINEL = 'All sentinels are unreachable';

/**
 * An error of ioredis without the arguments of its command, which for AUTH and HELLO hold the password. It says by `code` what
 * the server answered, and by `retryable` that there is no sense in asking again.
 *
 * @internal
 */
export function withoutSecrets(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { lastNodeError } = error as { lastNodeError?: unknown };
  // "Failed to refresh slots cache." tells nobody anything; the last node's answer does.
  if (lastNodeError instanceof Error) return withoutSecrets(lastNodeError);
  if (error.message === CLOSED) return connectionClosed();
  forgetArguments(error);
  if (error.message.startsWith(NO_SENTINEL)) Object.assign(error, { code: 'SENTINELS_UNREACHABLE' });
  if (isReply(error)) Object.assign(error, { code: replyCode(error), ...(willLast(error) && { retryable: false }) });
  return error;
}

/** The server's answer alone, for the pool to tell: the error itself, with its command, is the borrower's. @internal */
export function answerOf(error: Error): Error {
  return Object.assign(new Error(error.message), { name: error.name, code: replyCode(error) });
}

/** @internal */
export function forgetArguments(error: unknown): void {
  const { command } = error as { command?: { args?: unknown } };
  if (command?.args !== undefined) command.args = [];
}
