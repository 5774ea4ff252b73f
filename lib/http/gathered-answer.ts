import type { IncomingMessage } from 'node:http';
import type { InternalAxiosRequestConfig } from 'axios';
import { AnswerBytes, JOINED_BELOW } from './answer-bytes.js';

/**
 * How large an answer may be that can be gathered; `undefined` where it is wanted piece by piece.
 *
 * @internal
 */
export function mostGathered(config: InternalAxiosRequestConfig): number | undefined {
  const { responseType, onDownloadProgress, maxRate, maxContentLength = -1 } = config;
  if (responseType === 'stream' || onDownloadProgress !== undefined || maxRate !== undefined) return undefined;
  return maxContentLength > -1 ? maxContentLength : Infinity;
}

/**
 * Lets a large answer of a known length come as one chunk. axios keeps all chunks of an answer and joins them in the end, which
 * takes the memory of two; a single one it takes as it is.
 *
 * One that becomes larger than `most` comes at once, and is refused by whoever reads it. Of one that breaks off, nothing comes
 * but its end.
 *
 * @internal
 */
export function gather(response: IncomingMessage, most: number): void {
  const { 'content-length': length, 'content-encoding': encoding } = response.headers;
  // What is compressed is undone piece by piece.
  if (encoding !== undefined || !(Number(length) > JOINED_BELOW)) return;
  const bytes = new AnswerBytes();
  bytes.announce(length, most);
  const push = response.push.bind(response);
  let isGathering = true;
  const letThrough = (): void => {
    isGathering = false;
    if (bytes.size > 0) push(bytes.take());
  };
  response.push = (chunk: Buffer | null) => {
    if (!isGathering) return push(chunk);
    if (chunk === null) {
      letThrough();
      return push(null);
    }
    bytes.add(chunk);
    if (bytes.size > most) letThrough();
    return true;
  };
}
