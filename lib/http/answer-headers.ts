import { AxiosHeaders } from 'axios';
import type { AnswerHeaders } from './exchange.js';

/**
 * axios' headers, filled with what is normal already. axios normalizes the headers of an answer three times, each time
 * comparing every name with every other one; that alone costs more than the exchange below it.
 */
class NormalHeaders extends AxiosHeaders {}

// As an accessor, like axios' own: a header of that name must not hide the method. (It becomes `Normalize`.)
Object.defineProperty(NormalHeaders.prototype, 'normalize', {
  configurable: true,
  get: () => normalize,
  set(this: Record<string, unknown>, value: unknown) {
    this['Normalize'] = value;
  },
});
// And the class itself must not be hidden either, for `set` asks for it.
Object.defineProperty(NormalHeaders.prototype, 'constructor', {
  configurable: true,
  get: () => NormalHeaders,
  set(this: Record<string, unknown>, value: unknown) {
    this['Constructor'] = value;
  },
});

function normalize(this: AxiosHeaders, format?: boolean): AxiosHeaders {
  return format ? AxiosHeaders.prototype.normalize.call(this, format) : this;
}

/** The headers of an answer, which come in small letters and each but once. @internal */
export function answerHeadersOf(headers: AnswerHeaders): AxiosHeaders {
  const normal = new NormalHeaders();
  for (const name of Object.keys(headers)) {
    const value = headers[name]!;
    // axios keeps it under a name that is not the prototype's.
    if (name === '__proto__') normal.set(name, value);
    else normal[name] = value;
  }
  return normal;
}
