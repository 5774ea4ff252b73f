export { HttpDialError, type HttpDialPhase } from './dial-error.js';
export type { HttpDialOptions, HttpNetworkOptions } from './dial-settings.js';
export type { HttpProxyOptions } from './proxy-settings.js';
export { HttpConnection } from './http-connection.js';
export { HttpConnectionFactory } from './http-connection.factory.js';
export { HttpError, type HttpErrorKind, type HttpTimeoutPhase, isHttpError } from './http-error.js';
export { httpPool, HttpPool } from './http-pool.js';
export type { Http2Options, HttpHealthCheck, HttpPoolOptions, HttpReplay } from './http-settings.js';
