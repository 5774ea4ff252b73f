/** A kind is loaded when it runs, so that one that is not built keeps no other from running. */
export const KINDS = {
  http: { start: async () => (await import('./http.mjs')).start() },
  undici: { start: async () => (await import('./http.mjs')).start({ transport: 'undici' }) },
  h2: { start: async () => (await import('./h2.mjs')).start() },
  postgres: { start: async () => (await import('./postgres.mjs')).start() },
  mysql: { start: async () => (await import('./mysql.mjs')).start() },
  redis: { start: async () => (await import('./redis.mjs')).start() },
};
