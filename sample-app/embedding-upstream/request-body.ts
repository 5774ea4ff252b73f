import type { IncomingMessage, ServerResponse } from 'node:http';
import { Refusal } from './refusal.js';

const MAX_BODY_BYTES = 2 * 1024 * 1024;
/** How long a client that is still sending may take to notice the refusal. */
const LINGER_MS = 500;

/** Refuses what the client itself says is too large, before a byte of it is read. */
export function checkDeclaredSize(request: IncomingMessage): void {
  if (Number(request.headers['content-length'] ?? 0) > MAX_BODY_BYTES) throw tooLarge();
}

/** Refuses what `readBody` and `JSON.parse` would only stumble over. */
export function checkContentType(request: IncomingMessage): void {
  const [type = ''] = (request.headers['content-type'] ?? '').split(';', 1);
  if (type.trim().toLowerCase() !== 'application/json') {
    throw new Refusal(415, 'The body of your request must be sent with content-type application/json.');
  }
  if ((request.headers['content-encoding'] ?? 'identity') !== 'identity') {
    throw new Refusal(415, 'The body of your request must be sent without a content-encoding.');
  }
}

/** The whole body, or a refusal as soon as it grows too large: what comes after is neither read nor kept. */
export async function readBody(request: IncomingMessage, response: ServerResponse): Promise<Buffer> {
  // A client that asks first has not sent its body yet: it is told to only now, when nothing else can be wrong.
  if (request.headers.expect?.toLowerCase() === '100-continue') response.writeContinue();
  const chunks: Buffer[] = [];
  let size = 0;
  // Leaving the loop must not destroy the request: its socket still has to carry the answer.
  const body: AsyncIterable<Buffer> = request.iterator({ destroyOnReturn: false });
  for await (const chunk of body) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/**
 * Answers a client that may still be sending, and hangs up. The socket is left half done for a moment: closing it with unread bytes in it
 * resets the connection, and the reset would overtake the answer.
 */
export function refuseAndHangUp(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    connection: 'close',
  });
  response.write(body);
  const linger = setTimeout(() => response.end(), LINGER_MS);
  response.once('close', () => clearTimeout(linger));
}

function tooLarge(): Refusal {
  return new Refusal(413, `The body of your request is larger than ${MAX_BODY_BYTES} bytes.`);
}
