import { posix } from 'node:path';

/** What an upstream's name comes to, wherever it is written. @internal */
export interface UpstreamName {
  /** As the pool is called: `mySearch`. */
  readonly pool: string;
  /** As types begin: `MySearch`. */
  readonly type: string;
  /** As the file begins: `my-search`. */
  readonly file: string;
  /** The folder that came before the name, if any. */
  readonly folder: string;
  /** The environment variable that has the URL: `MY_SEARCH_URL`. */
  readonly variable: string;
}

/**
 * Takes `my-search`, `mySearch`, `my_search` or `My Search`, also with folders before it: `shop/my-search`.
 *
 * @throws for what is no name in code
 * @internal
 */
export function parseUpstreamName(written: string): UpstreamName {
  const words = posix
    .basename(written)
    .replaceAll(/([a-z\d])([A-Z])/g, '$1-$2')
    .toLowerCase()
    .split(/[\s_-]+/)
    .filter((word) => word !== '');
  const file = words.join('-');
  if (!/^[a-z][a-z\d-]*$/.test(file)) {
    throw new Error(
      `"${written}" cannot be the name of an upstream: it needs to begin with a letter and to consist of letters, ` +
        'digits and dashes, as in my-search.',
    );
  }
  const type = words.map(capitalize).join('');
  return {
    pool: type.charAt(0).toLowerCase() + type.slice(1),
    type,
    file,
    folder: posix.dirname(written),
    variable: `${words.join('_').toUpperCase()}_URL`,
  };
}

function capitalize(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}
