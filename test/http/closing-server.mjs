// A server in a thread of its own, which closes a socket so many milliseconds after an answer on it, whatever happens to the
// event loop of its clients.
import { createServer } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';

const { closeAfterMs, hint } = workerData;
const counts = { accepted: 0, open: 0, mostOpen: 0, closed: 0, requests: 0 };

const server = createServer((socket) => {
  counts.accepted += 1;
  counts.open += 1;
  counts.mostOpen = Math.max(counts.mostOpen, counts.open);
  let closing;
  let isCounted = true;
  // From when either side has hung up: the runtime tells of the close itself only at the end of a turn of the loop.
  const hungUp = () => {
    if (isCounted) counts.open -= 1;
    isCounted = false;
  };
  socket.on('error', hungUp).once('end', hungUp);
  socket.once('close', () => {
    hungUp();
    clearTimeout(closing);
  });
  socket.setEncoding('latin1').on('data', (text) => {
    clearTimeout(closing);
    if (!text.endsWith('the end')) return;
    counts.requests += 1;
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 2\r\n${hint}\r\nok`);
    closing = setTimeout(() => {
      counts.closed += 1;
      hungUp();
      socket.end();
    }, closeAfterMs);
  });
});
server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));
parentPort.on('message', () => parentPort.postMessage(counts));
