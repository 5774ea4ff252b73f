import type { Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:https';
import { type HttpError, httpPool } from 'nestjs-pools/http';
import { makeCertificate } from '../support/certificate.js';
import { eventually } from '../support/http-server.js';

describe.each(['node', 'undici'] as const)('a socket over %s that is opened in place of a dead one', (transport) => {
  it('says whether trying again is of any use, as its opening would have said it', async () => {
    const { ca, ...own } = makeCertificate();
    const sockets: Socket[] = [];
    const server = createServer(own, (_request, response) => response.end('ok'));
    server.on('secureConnection', (socket: Socket) => sockets.push(socket)).on('tlsClientError', () => {});
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    let isTrusted = true;
    const tls = (): object => (isTrusted ? { ca } : {});
    const definition = httpPool({ baseURL: `https://127.0.0.1:${port}`, transport, tls });
    const pool = definition.createPool({ name: 'web', factory: definition.factory, ...definition.limits });

    const lease = await pool.acquire();
    const { client } = lease.connection;
    expect((await client.get('/')).data).toBe('ok');
    isTrusted = false;
    sockets[0]!.destroy();
    await eventually(() => lease.signal.aborted, 'the borrower is told');
    const failure = await client.get('/').catch((error: HttpError) => error);
    expect(failure).toMatchObject({ name: 'HttpError', kind: 'connection', retryable: false });
    expect((failure as HttpError).code).toMatch(/CERT|SIGNATURE/);

    lease.release();
    await pool.close();
    await new Promise((resolve) => server.close(resolve));
  });
});
