import { parentPort } from 'node:worker_threads';
import { PGlite } from '@electric-sql/pglite';
import { vector } from '@electric-sql/pglite-pgvector';
import type { EngineAnswer, EngineQuestion } from './vector-engine.js';

/**
 * PostgreSQL in a thread of its own. It computes without a pause while it opens (three seconds and more) and while it
 * answers; in the main thread nobody else would be served meanwhile.
 */
const port = parentPort!;
const database = await PGlite.create({ extensions: { vector } });

port.on('message', ({ id, sql, parameters }: EngineQuestion) => {
  database.query(sql, [...parameters]).then(
    ({ rows }) => port.postMessage({ id, rows } satisfies EngineAnswer),
    (error: unknown) => port.postMessage({ id, problem: String(error) } satisfies EngineAnswer),
  );
});
port.postMessage('ready');
