/** In a process of its own, so that its work is not counted as the client's. Tells its two addresses: HTTP/1.1 and h2c. */
import { createServer } from 'node:http';
import { createServer as createH2Server } from 'node:http2';

const ANSWER = JSON.stringify({
  object: 'list',
  data: [{ index: 0, embedding: [0.1, 0.2, 0.3] }],
  usage: { total_tokens: 9 },
});

const answer = (request, response) => {
  request.resume().on('end', () => {
    response.setHeader('content-type', 'application/json');
    response.setHeader('content-length', String(ANSWER.length));
    response.end(ANSWER);
  });
};

const listening = [createServer({ keepAliveTimeout: 60_000 }, answer), createH2Server(answer)].map(
  (server) =>
    new Promise((resolve) => {
      server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${server.address().port}`));
    }),
);
process.send(await Promise.all(listening));
process.on('disconnect', () => process.exit());
