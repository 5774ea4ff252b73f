/**
 * The options in a connection URI, as mysql2 reads it. What cannot be read goes on the list of problems.
 *
 * @internal
 */
export function readUri(uri: unknown, problems: string[]): Record<string, unknown> {
  // A `/`, `?` or `#` in a password that is not encoded would cut it in two, and a part of it pass for a database.
  if (typeof uri !== 'string' || uri === '') return {};
  try {
    if (uri.includes('#')) throw new TypeError('a fragment');
    const url = new URL(uri);
    if (!['mysql:', 'mariadb:'].includes(url.protocol) || url.pathname.includes('@') || url.search.includes('@')) {
      throw new TypeError('another scheme, or a password that was cut in two');
    }
    const options: Record<string, unknown> = {};
    const part = (name: string, encoded: string): void => {
      if (encoded !== '') options[name] = decodeURIComponent(encoded);
    };
    part('host', url.hostname.replace(/^\[|\]$/g, ''));
    part('user', url.username);
    part('password', url.password);
    part('database', url.pathname.slice(1));
    if (url.port !== '') options['port'] = Number(url.port);
    for (const [name, value] of url.searchParams) options[name] ??= valueOf(value);
    return options;
  } catch {
    problems.push('uri: expected mysql://user:password@host:port/database, with special characters percent-encoded');
    return {};
  }
}

/** `true`, a number or an object in JSON; else the text as it is. */
function valueOf(value: string): unknown {
  try {
    return JSON.parse(value) as unknown;
  } catch {
    return value;
  }
}
