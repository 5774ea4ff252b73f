/**
 * How far a new connection had come when it failed: the name, the address, the proxy (everything until its tunnel stands), or
 * TLS with the server.
 *
 * @publicApi
 */
export type HttpDialPhase = 'dns' | 'tcp' | 'proxy' | 'tls';

interface DialFacts {
  readonly phase: HttpDialPhase;
  readonly code: string;
  readonly target: string;
  readonly message: string;
  readonly retryable?: boolean;
  readonly status?: number;
  readonly cause?: unknown;
}

/**
 * Why no connection could be opened: with whom, how far it came and what would help. It holds no credentials, no query and no
 * headers, so that it can be logged as it is.
 *
 * @publicApi
 */
export class HttpDialError extends Error {
  readonly phase: HttpDialPhase;
  /** The system's, OpenSSL's or Node's code: `ECONNREFUSED`, `CERT_HAS_EXPIRED`, …; `HTTP_PROXY_REFUSED` for a proxy's no. */
  readonly code: string;
  /** Whom it was with: `host:port`, or the path of a Unix socket. */
  readonly target: string;
  /** What the proxy answered, where it refused. */
  readonly status: number | undefined;
  /** Whether the same may succeed a little later, without anybody doing anything about it. */
  readonly retryable: boolean;

  /** @internal */
  constructor(facts: DialFacts) {
    super(facts.message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.name = 'HttpDialError';
    this.phase = facts.phase;
    this.code = facts.code;
    this.target = facts.target;
    this.status = facts.status;
    this.retryable = facts.retryable ?? true;
  }
}

/** The other end of one leg of the way: the server, or the proxy in front of it. @internal */
export interface Peer {
  readonly host: string;
  readonly port: number;
  /** `host:port`, as people write it. */
  readonly name: string;
  readonly isProxy: boolean;
}

/** @internal */
export function peerOf(url: URL, isProxy = false): Peer {
  const port = Number(url.port || (url.protocol === 'https:' ? 443 : 80));
  return { host: url.hostname.replace(/^\[|\]$/g, ''), port, name: `${url.hostname}:${port}`, isProxy };
}

/** The peer, within a sentence. @internal */
export function nameOf({ name, isProxy }: Peer): string {
  return isProxy ? `the proxy ${name}` : name;
}

/** What it is called when the other end hangs up without a word. @internal */
export function connectionReset(): Error {
  return Object.assign(new Error('the other end closed the connection'), { code: 'ECONNRESET' });
}

/** The code of an error, whoever made it. @internal */
export function codeOf(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === 'string' ? code : 'ERR_UNKNOWN';
}

const AUTHORITY = 'give the certificate of its authority as tls.ca, or to all of Node by NODE_EXTRA_CA_CERTS';
const OUT_OF_DATE = "have the other end's certificate renewed, or set this machine's clock";
const OTHER_NAME = 'connect by a name that the certificate is for, or give that name as tls.servername';

/** Node's codes of a certificate that it does not accept, and what helps. Trying again does not. */
const REJECTIONS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: OUT_OF_DATE,
  CERT_NOT_YET_VALID: OUT_OF_DATE,
  CERT_REJECTED: AUTHORITY,
  CERT_REVOKED: "have the other end's certificate replaced",
  CERT_UNTRUSTED: AUTHORITY,
  DEPTH_ZERO_SELF_SIGNED_CERT: AUTHORITY,
  ERR_TLS_CERT_ALTNAME_INVALID: OTHER_NAME,
  HOSTNAME_MISMATCH: OTHER_NAME,
  INVALID_CA: AUTHORITY,
  INVALID_PURPOSE: 'the certificate is not made for a server',
  SELF_SIGNED_CERT_IN_CHAIN: AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT: AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: AUTHORITY,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: `${AUTHORITY}; or have the other end send its whole chain`,
};

/** What the other end says about our certificate, or the want of one. OpenSSL's codes differ between versions of TLS. */
const OURS_REFUSED = /ALERT_(BAD_CERTIFICATE|CERTIFICATE_\w+|UNKNOWN_CA|ACCESS_DENIED|UNSUPPORTED_CERTIFICATE)$/;

/** Whether trying again is of no use until somebody changes a certificate. */
function isCertificateMatter(code: string): boolean {
  return Object.hasOwn(REJECTIONS, code) || OURS_REFUSED.test(code);
}

function cureFor(code: string): string | undefined {
  if (Object.hasOwn(REJECTIONS, code)) return REJECTIONS[code];
  if (OURS_REFUSED.test(code)) return 'it wants a client certificate that it trusts: tls.cert and tls.key';
  if (code.endsWith('ALERT_HANDSHAKE_FAILURE'))
    return 'it may want a client certificate (tls.cert, tls.key) or other ciphers';
  if (code.endsWith('NO_APPLICATION_PROTOCOL'))
    return "it does not speak the version of HTTP that the pool's protocol says";
  if (/WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG/.test(code)) return 'it does not seem to speak TLS on this port';
  return undefined;
}

/** TLS with a peer that did not come about. @internal */
export function tlsFailure(peer: Peer, error: unknown): HttpDialError {
  const code = codeOf(error);
  const cure = cureFor(code);
  return new HttpDialError({
    phase: peer.isProxy ? 'proxy' : 'tls',
    code,
    target: peer.name,
    message: `TLS with ${nameOf(peer)} failed: ${code}${cure === undefined ? '' : `; ${cure}`}`,
    retryable: !isCertificateMatter(code),
  });
}
