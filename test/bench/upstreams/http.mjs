import { fork } from 'node:child_process';
import { once } from 'node:events';
import { Agent } from 'node:http';
import { fileURLToPath } from 'node:url';
import axios from 'axios';
import { httpPool } from 'nestjs-pools/http';
import { Pool as UndiciPool } from 'undici';
import { ours } from './contenders.mjs';

/** A kilobyte, as a batch of texts to embed may be. */
const BODY = { model: 'text-embedding-3-small', input: ['x'.repeat(960)] };
const JSON_TYPE = { 'content-type': 'application/json' };

/** @type {import('../upstreams.mjs').Kind} */
export const kind = {
  what: 'a POST of 1 KB of JSON, answered with JSON',
  cpuBeside: 'undici Pool',
  async start() {
    const server = fork(fileURLToPath(new URL('./http-server.mjs', import.meta.url)));
    const [address] = await once(server, 'message');
    return { address, close: () => server.kill() };
  },
  contenders(connections, [baseURL, h2URL]) {
    const pooled = (name, options, is) => () =>
      ours(
        name,
        httpPool({ baseURL, maxConnections: connections, ...options }),
        (pool) => pool.use(({ client }) => client.post('/embeddings', BODY)),
        is,
      );
    return [
      pooled('ours', {}),
      pooled("ours, transport: 'undici'", { transport: 'undici' }),
      pooled("ours, protocol: 'h2'", { protocol: 'h2', baseURL: h2URL }, 'variant'),
      () => axiosWithAgent(baseURL, connections),
      () => undiciPool(baseURL, connections),
    ];
  },
};

function axiosWithAgent(baseURL, maxSockets) {
  const httpAgent = new Agent({ keepAlive: true, maxSockets });
  const client = axios.create({ baseURL, httpAgent });
  return {
    name: 'axios + http.Agent',
    is: 'peer',
    call: () => client.post('/embeddings', BODY),
    close: async () => httpAgent.destroy(),
  };
}

/** The floor: it has no axios in front, parses the answer and nothing else. */
function undiciPool(baseURL, connections) {
  const pool = new UndiciPool(baseURL, { connections });
  return {
    name: 'undici Pool',
    is: 'bare',
    call: async () => {
      const request = { method: 'POST', path: '/embeddings', headers: JSON_TYPE, body: JSON.stringify(BODY) };
      const { body } = await pool.request(request);
      return body.json();
    },
    close: () => pool.close(),
  };
}
