import { createSecureContext, type ConnectionOptions as TlsOptions, type SecureContext } from 'node:tls';
import { isDeepStrictEqual } from 'node:util';
import { shapeOf } from '../core/option-rules.js';
import { codeOf } from './dial-error.js';

/** A burst of connections finds as many, and a ticket is a kilobyte or two. */
const MOST_TICKETS = 16;

/**
 * Sessions that the server gave, to be resumed by the next connections of the same pool: no certificates are sent and checked
 * again, which is most of what a handshake costs.
 *
 * A ticket is handed out once where there are several, so that nobody on the way can tell by it which connections belong
 * together (RFC 8446, C.4). The last one is handed out again and again: better linked than slow.
 *
 * @internal
 */
export class TlsSessions {
  #tickets: Buffer[] = [];

  add(ticket: Buffer): void {
    this.#tickets.push(ticket);
    if (this.#tickets.length > MOST_TICKETS) this.#tickets.shift();
  }

  /** The newest. */
  take(): Buffer | undefined {
    return this.#tickets.length > 1 ? this.#tickets.pop() : this.#tickets[0];
  }

  clear(): void {
    this.#tickets = [];
  }
}

/** What is made of a set of TLS options once and used by every connection. @internal */
export interface TlsIdentity {
  readonly options: TlsOptions;
  readonly context: SecureContext;
  readonly sessions: TlsSessions;
}

/**
 * Remembers what was made of the newest options. Other options mean another identity, and none of the sessions of the one
 * before: a server that resumes a session takes the client for whom it was when the session began.
 *
 * @internal
 */
export class TlsIdentities {
  #newest: TlsIdentity | undefined;

  /** Throws what OpenSSL says to certificates or keys that it cannot use. */
  of(options: TlsOptions): TlsIdentity {
    if (this.#newest === undefined || !isDeepStrictEqual(options, this.#newest.options)) {
      // A copy: the caller may change the object that it gave, and give it again.
      const copy = { ...options };
      this.#newest = {
        options: copy,
        context: copy.secureContext ?? createSecureContext(copy),
        sessions: new TlsSessions(),
      };
    }
    return this.#newest;
  }
}

/** What is wrong with certificates and keys that were given once and for all. @internal */
export function tlsProblems(options: unknown, name: string): string[] {
  if (typeof options !== 'object' || options === null) return [`${name}: expected an object, got ${shapeOf(options)}`];
  const { ca } = options as TlsOptions;
  try {
    // OpenSSL overlooks what is no certificate, such as the path of one, and then trusts nobody.
    if (ca !== undefined && ![ca].flat().every((item) => Buffer.from(item as string).includes('-----BEGIN'))) {
      return [`${name}.ca: expected certificates, each beginning with -----BEGIN`];
    }
    new TlsIdentities().of(options);
    return [];
  } catch (error) {
    return [`${name}: the certificate, key or authority cannot be used (${codeOf(error)})`];
  }
}
