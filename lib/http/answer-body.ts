import { promisify } from 'node:util';
import * as zlib from 'node:zlib';
import { AxiosError, type InternalAxiosRequestConfig } from 'axios';
import type { AnswerHeaders } from './exchange.js';

type Decompress = (data: Buffer, options: zlib.ZlibOptions) => Promise<Buffer>;

const unzip = promisify(zlib.unzip) as Decompress;
const inflate = promisify(zlib.inflate) as Decompress;
const inflateRaw = promisify(zlib.inflateRaw) as Decompress;
const brotli = promisify(zlib.brotliDecompress) as Decompress;
/** Node has it from 22.15 on; where it is missing, an answer in it stays as it came, as with axios. */
const zstd = findZstd();

// An answer that was cut short by its server yields what there is of it, as with axios.
const SYNC = { flush: zlib.constants.Z_SYNC_FLUSH, finishFlush: zlib.constants.Z_SYNC_FLUSH };
const BROTLI = { flush: zlib.constants.BROTLI_OPERATION_FLUSH, finishFlush: zlib.constants.BROTLI_OPERATION_FLUSH };

/** What undoes the encoding of this answer; its header goes with it. `undefined` where there is nothing to undo. @internal */
export function takeDecompressor(
  headers: AnswerHeaders,
  config: InternalAxiosRequestConfig,
  status: number,
): ((data: Buffer, limit: number) => Promise<Buffer>) | undefined {
  const encoding = headers['content-encoding'];
  if (encoding === undefined || config.decompress === false) return undefined;
  // No content: a header that says how it is encoded would only mislead.
  const isEmpty = config.method?.toUpperCase() === 'HEAD' || status === 204;
  const decompress = isEmpty ? undefined : decompressorOf(String(encoding).toLowerCase());
  if (isEmpty || decompress !== undefined) delete headers['content-encoding'];
  return decompress;
}

function decompressorOf(encoding: string): ((data: Buffer, limit: number) => Promise<Buffer>) | undefined {
  switch (encoding) {
    case 'gzip':
    case 'x-gzip':
    case 'compress':
    case 'x-compress':
      return (data, limit) => unzip(data, { ...SYNC, maxOutputLength: limit });
    case 'deflate':
      // Some servers send it without the two bytes that it should begin with.
      return (data, limit) => (data[0] === 0x78 ? inflate : inflateRaw)(data, { ...SYNC, maxOutputLength: limit });
    case 'br':
      return (data, limit) => brotli(data, { ...BROTLI, maxOutputLength: limit });
    case 'zstd':
      return zstd && ((data, limit) => zstd(data, { maxOutputLength: limit }));
    default:
      return undefined;
  }
}

function findZstd(): Decompress | undefined {
  const { zstdDecompress } = zlib as { zstdDecompress?: (...args: unknown[]) => void };
  return zstdDecompress && (promisify(zstdDecompress) as Decompress);
}

/** @internal */
export function tooLong(config: InternalAxiosRequestConfig): AxiosError {
  const message = `maxContentLength size of ${config.maxContentLength} exceeded`;
  return new AxiosError(message, AxiosError.ERR_BAD_RESPONSE, config);
}

/** @internal */
export function isTooLong(error: unknown): boolean {
  return (error as { code?: unknown }).code === 'ERR_BUFFER_TOO_LARGE';
}
