import genericPool from 'generic-pool';
import { ConnectionPool } from 'nestjs-pools/core';

/** A definition of ours, as a pool of its own class: how PoolModule makes one. */
export function poolOf(definition, name = definition.kind) {
  return definition.createPool({ name, factory: definition.factory, ...definition.limits });
}

/** generic-pool over a driver, as its users write it. */
export function genericPoolOf({ create, destroy, call }, max) {
  const pool = genericPool.createPool({ create, destroy }, { max });
  return {
    name: 'generic-pool + driver',
    is: 'peer',
    call: () => pool.use(call),
    close: async () => {
      await pool.drain();
      await pool.clear();
    },
  };
}

/** A contender on one of our pools. */
export function ours(name, definition, call, is = 'ours') {
  const pool = poolOf(definition);
  if (!(pool instanceof ConnectionPool)) throw new Error('expected a pool of ours');
  return { name, is, call: () => call(pool), close: () => pool.close() };
}
