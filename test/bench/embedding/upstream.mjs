/**
 * The embedding server, in a process of its own, so that its work is not counted as the client's. Everything that it may
 * answer is rendered before it is asked, and requests are read straight off the socket: it is not what limits the clients.
 *
 * `/paced/v1` takes 25 ms and 0.5 ms per text in each of its 8 slots, and makes other requests wait. `/instant/v1` takes no
 * time. `/counts` tells what was asked since the last time. Tells its origin as its first message.
 */
import { createServer } from 'node:net';
import { PreparedAnswers } from './prepared-answers.mjs';

const SLOTS = 8;
const REQUEST_MS = 25;
const TEXT_MS = 0.5;

const answers = new PreparedAnswers();
const freeAt = Array.from({ length: SLOTS }, () => 0);
let counts = { requests: 0, texts: 0 };

const server = createServer({ noDelay: true }, (socket) => {
  let unread = Buffer.alloc(0);
  socket.on('error', () => {});
  socket.on('data', (chunk) => {
    unread = unread.length === 0 ? chunk : Buffer.concat([unread, chunk]);
    let request;
    while ((request = requestIn(unread)) !== undefined) {
      unread = unread.subarray(request.length);
      respond(socket, request);
    }
  });
});
server.listen(0, '127.0.0.1', () => process.send(`http://127.0.0.1:${server.address().port}`));
process.on('disconnect', () => process.exit());

/** The first request, where all of it is there. */
function requestIn(bytes) {
  const headEnd = bytes.indexOf('\r\n\r\n');
  if (headEnd < 0) return undefined;
  const head = bytes.toString('latin1', 0, headEnd);
  if (/^transfer-encoding:/im.test(head)) throw new Error('the upstream reads no chunked bodies');
  const bodyLength = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
  const length = headEnd + 4 + bodyLength;
  if (bytes.length < length) return undefined;
  const [method, path] = head.split(' ', 2);
  return { method, path, length, body: bytes.toString('utf8', headEnd + 4, length) };
}

function respond(socket, { method, path, body }) {
  if (path === '/counts') {
    socket.write(plain(JSON.stringify(counts)));
    counts = { requests: 0, texts: 0 };
    return;
  }
  if (method !== 'POST') {
    socket.write(plain(method === 'HEAD' ? '' : '{}'));
    return;
  }
  const { input, encoding_format: encoding = 'float', dimensions = 1_536 } = JSON.parse(body);
  const texts = Array.isArray(input) ? input.length : 1;
  counts.requests += 1;
  counts.texts += texts;
  const send = () => write(socket, answers.of(texts, encoding, dimensions));
  if (path.startsWith('/paced/')) setTimeout(send, waitFor(REQUEST_MS + TEXT_MS * texts));
  else send();
}

/**
 * How long until a slot has done that much work. Slots are booked by the time that work takes, not by when a timer fires:
 * the lateness of timers would add up otherwise, and slow down whoever makes more requests.
 */
function waitFor(costMs) {
  const now = performance.now();
  const earliest = freeAt.indexOf(Math.min(...freeAt));
  freeAt[earliest] = Math.max(now, freeAt[earliest]) + costMs;
  return Math.round(freeAt[earliest] - now);
}

function write(socket, pieces) {
  if (socket.destroyed) return;
  socket.cork();
  for (const piece of pieces) socket.write(piece);
  socket.uncork();
}

function plain(text) {
  return `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`;
}
