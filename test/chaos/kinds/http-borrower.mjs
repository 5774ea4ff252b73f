/** What a borrower of an HTTP connection does, whatever the protocol. */
export async function borrowHttp(borrower) {
  const { connection, random, token } = borrower;
  const request = { data: { token, text: 'x'.repeat(random.between(1, 2_000)) }, signal: borrower.signal };
  const { data } = await borrower.step(connection.client.request({ method: 'POST', url: '/echo', ...request }));
  borrower.expect(data.token === token, "a borrower got another's answer");
  // Some leave a request behind, some an answer that they have not read.
  if (random.chance(0.02)) borrower.abandon(connection.client.get('/slow'));
  if (random.chance(0.02)) {
    const answer = await borrower.step(connection.client.get('/long', { responseType: 'stream' }));
    answer.data.on('error', () => undefined);
  }
}

/** What the server says to it. */
export function answer(request, response) {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    if (request.url === '/slow') return void setTimeout(() => response.end('slow'), 50);
    if (request.url === '/long') return void response.end('x'.repeat(500_000));
    response.setHeader('content-type', 'application/json');
    response.end(Buffer.concat(chunks));
  });
}
