import type { PoolEventName } from 'nestjs-pools/core';

/** Every event of a pool; the compiler says which is missing. */
const ALL: Record<PoolEventName, true> = {
  create: true,
  createError: true,
  acquire: true,
  release: true,
  destroy: true,
  detach: true,
  checkFailed: true,
  broken: true,
  timeout: true,
  abort: true,
  refuse: true,
  leak: true,
  reclaim: true,
  down: true,
  up: true,
  state: true,
  hookError: true,
  misuse: true,
};

export const EVENTS = Object.keys(ALL) as readonly PoolEventName[];
