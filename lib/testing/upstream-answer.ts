import type { ServerResponse } from 'node:http';
import type { UpstreamConnection } from './upstream-connection.js';
import {
  problemsOfAnswer,
  type ResolvedUpstreamSettings,
  type UpstreamAnswer,
  type UpstreamRequest,
} from './upstream-settings.js';

/** How often a slow body goes on; a slower one than a byte in this time goes on by single bytes. */
const DRIP_MS = 20;

/** What is answered to a request that nothing befalls. @internal */
export async function answerOf(request: UpstreamRequest, settings: ResolvedUpstreamSettings): Promise<UpstreamAnswer> {
  const { method, path } = request;
  const { status, headers, body = { method, path } } = settings;
  try {
    const answer = (await settings.handler?.(request)) ?? {};
    const problems = problemsOfAnswer(answer);
    if (problems.length > 0) throw new TypeError(problems.join('; '));
    return { status: answer.status ?? status, headers: answer.headers ?? headers, body: answer.body ?? body };
  } catch (error) {
    return {
      status: 500,
      body: { error: `the handler failed: ${error instanceof Error ? error.message : 'no error'}` },
    };
  }
}

/** What a request gets that is to fail. @internal */
export function failureOf({ failureStatus }: ResolvedUpstreamSettings): UpstreamAnswer {
  return { status: failureStatus, body: { error: 'a simulated failure' } };
}

/** Sends an answer, at the speed and with the end that the settings ask for. @internal */
export function send(
  answer: UpstreamAnswer,
  response: ServerResponse,
  connection: UpstreamConnection,
  { keepAliveMs, bytesPerSecond }: ResolvedUpstreamSettings,
): void {
  const { bytes } = begin(answer, response, keepAliveMs > 0);
  if (bytesPerSecond === Infinity) response.end(bytes);
  else drip(bytes, response, connection, bytesPerSecond);
}

/** Sends the head and half of the body, and ends the connection. @internal */
export function sendCut(answer: UpstreamAnswer, response: ServerResponse, connection: UpstreamConnection): void {
  const { bytes } = begin(answer, response, true);
  // One byte more than there is, where there is none: the client must not take it for whole.
  response.setHeader('content-length', Math.max(1, bytes.length));
  response.flushHeaders();
  response.write(bytes.subarray(0, bytes.length / 2));
  connection.endSoon();
}

function begin(answer: UpstreamAnswer, response: ServerResponse, staysOpen: boolean): { bytes: Buffer } {
  const { type, bytes } = encode(answer.body);
  response.statusCode = answer.status ?? 200;
  response.setHeader('content-type', type);
  if (!staysOpen) response.shouldKeepAlive = false;
  for (const [name, text] of Object.entries(answer.headers ?? {})) response.setHeader(name, text);
  return { bytes };
}

function drip(bytes: Buffer, response: ServerResponse, connection: UpstreamConnection, bytesPerSecond: number): void {
  const everyMs = Math.max(DRIP_MS, 1_000 / bytesPerSecond);
  const size = Math.max(1, Math.floor((bytesPerSecond * everyMs) / 1_000));
  response.setHeader('content-length', bytes.length);
  response.flushHeaders();
  const next = (from: number): void => {
    if (from >= bytes.length) response.end();
    else
      connection.later(everyMs, () => {
        response.write(bytes.subarray(from, from + size));
        next(from + size);
      });
  };
  next(0);
}

function encode(body: unknown): { type: string; bytes: Buffer } {
  if (typeof body === 'string') return { type: 'text/plain; charset=utf-8', bytes: Buffer.from(body) };
  if (body instanceof Uint8Array) return { type: 'application/octet-stream', bytes: Buffer.from(body) };
  return { type: 'application/json', bytes: Buffer.from(JSON.stringify(body)) };
}
