declare module 'proxy-from-env' {
  /** The proxy for a URL by the environment, or an empty text. */
  export function getProxyForUrl(url: string | { protocol: string; host: string; port: string }): string;
}
