import { Agent, setGlobalDispatcher } from 'undici';

/** Gives `fetch()` as many connections as everybody has. By default it opens one for each request under way. */
export function limitFetch(connections) {
  const dispatcher = new Agent({ connections });
  setGlobalDispatcher(dispatcher);
  return dispatcher;
}
