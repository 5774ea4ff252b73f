import type { ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { type ExecutionContext, StreamableFile } from '@nestjs/common';
import { isNodeStream, whileLive } from './live-result.js';

/**
 * When a request is over: its handler has ended, what it gave has been read or left, and, over HTTP, the response has ended
 * or the client has gone.
 *
 * @internal
 */
export class RequestEnd {
  private readonly leaving = new AbortController();
  private readonly response: ServerResponse | undefined;
  private readonly responded: Promise<void>;
  /** What the handler gave and goes on. */
  private readonly live = new Set<Promise<void>>();

  constructor(context: ExecutionContext) {
    this.response = responseOf(context);
    this.responded = this.untilResponded();
  }

  /** Aborted when nobody waits for the handler any more: the client has gone, or something around it has given up. */
  get signal(): AbortSignal {
    return this.leaving.signal;
  }

  leave(): void {
    this.leaving.abort();
  }

  /** A value of the handler's, on its way out. */
  pass(value: unknown): unknown {
    const live = whileLive(value);
    if (live === undefined) return value;
    this.live.add(live.ended);
    const stream: unknown = value instanceof StreamableFile ? value.getStream() : value;
    // A client that left reads no more; what was piped to it would stand still for ever.
    if (isNodeStream(stream))
      void this.responded.then(() => (this.isCutOff ? (stream as Readable).destroy() : undefined));
    return live.value;
  }

  /** Ends with the request, once its handler has ended. */
  async over(): Promise<void> {
    await this.responded;
    await Promise.all(this.live);
  }

  private get isCutOff(): boolean {
    return this.response !== undefined && !this.response.writableFinished;
  }

  private async untilResponded(): Promise<void> {
    const { response } = this;
    if (response === undefined) return;
    if (!response.closed) await new Promise<void>((resolve) => response.once('close', resolve));
    if (this.isCutOff) this.leaving.abort(new Error('the client has gone'));
  }
}

/** Node's own response, below that of Express or Fastify; messages, events and other transports have none. */
function responseOf(context: ExecutionContext): ServerResponse | undefined {
  if (context.getType() !== 'http') return undefined;
  const response = context.switchToHttp().getResponse<ServerResponse & { raw?: ServerResponse }>();
  return response.raw ?? response;
}
