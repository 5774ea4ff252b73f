/**
 * Everybody who can embed. Each is loaded in its own process only: nobody pays for another's code.
 *
 * @typedef {object} Contender
 * @property {(text: string) => Promise<ArrayLike<number>>} embed
 * @property {(texts: string[]) => Promise<ArrayLike<number>[]>} embedBatch one request
 * @property {(texts: string[]) => Promise<ArrayLike<number>[]>} embedAll many requests, all vectors kept
 * @property {(texts: Iterable<string>, count: number) => Promise<number>} stream many requests, no vector kept: how many there were
 * @property {() => Promise<unknown>} close
 *
 * @typedef {object} Circumstances
 * @property {string} baseURL
 * @property {number} connections
 * @property {number} batchSize texts in one request, where nothing else is customary
 *
 * @typedef {object} Entry
 * @property {'ours' | 'peer' | 'bare' | 'variant'} is ours and peers are compared; the others are told only
 * @property {(circumstances: Circumstances) => Promise<Contender>} make
 */

const ours = (pool, service) => async (circumstances) =>
  (await import('./ours.mjs')).ours(circumstances, pool, service);
const axios = (encoding) => async (circumstances) =>
  (await import('./plain-axios.mjs')).plainAxios(circumstances, encoding);

/** @type {Record<string, Entry>} */
export const CONTENDERS = {
  ours: { is: 'ours', make: ours({ transport: 'node' }) },
  "ours, transport: 'undici'": { is: 'ours', make: ours({ transport: 'undici' }) },
  'ours, cache: false': { is: 'variant', make: ours({ transport: 'node' }, { cache: false }) },
  "ours, transport: 'undici', cache: false": { is: 'variant', make: ours({ transport: 'undici' }, { cache: false }) },
  openai: { is: 'peer', make: async (given) => (await import('./openai-sdk.mjs')).openaiSdk(given) },
  '@langchain/openai': { is: 'peer', make: async (given) => (await import('./langchain.mjs')).langchain(given) },
  'ai + @ai-sdk/openai': { is: 'peer', make: async (given) => (await import('./ai-sdk.mjs')).aiSdk(given) },
  'axios + http.Agent': { is: 'peer', make: axios('float') },
  'axios + http.Agent, base64': { is: 'bare', make: axios('base64') },
  'hand-written: undici Pool, base64': {
    is: 'bare',
    make: async (given) => (await import('./hand-written.mjs')).handWritten(given),
  },
  'floor: node:net, no JSON': { is: 'bare', make: async (given) => (await import('./floor.mjs')).floor(given) },
};

export const OURS = 'ours';
export const OURS_UNDICI = "ours, transport: 'undici'";
export const WITHOUT_CACHE = Object.keys(CONTENDERS).filter((name) => CONTENDERS[name].is === 'variant');
export const PEERS = Object.keys(CONTENDERS).filter((name) => CONTENDERS[name].is === 'peer');
export const BARE_AXIOS = 'axios + http.Agent';
export const BARE_AXIOS_BASE64 = 'axios + http.Agent, base64';
export const HAND_WRITTEN = 'hand-written: undici Pool, base64';
export const FLOOR = 'floor: node:net, no JSON';
