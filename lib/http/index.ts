export { HttpConnection } from './http-connection.js';
export { HttpConnectionFactory } from './http-connection.factory.js';
export { HttpError, type HttpErrorKind } from './http-error.js';
export { httpPool, type HttpPool } from './http-pool.js';
export type { HttpHealthCheck, HttpPoolOptions } from './http-settings.js';
