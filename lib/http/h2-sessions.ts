import type { Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import { systemClock } from '../core/clock.js';
import { codedError } from './exchange.js';
import { H2Session, type Occupant } from './h2-session.js';

/** A server that asked for calm is given this long before another session is opened to it. */
const CALM_MS = 1_000;

/** The share by which the age of a session is shortened at most, so that they do not all end at once. */
const AGE_JITTER = 0.1;

/** @internal */
export interface H2SessionsOptions {
  readonly base: URL;
  /** Opens a socket; `h2` is what TLS offers. */
  readonly dial: (signal: AbortSignal, alpn: readonly string[]) => Promise<Socket>;
  readonly maxSessions: number;
  /** How old a session may be for new requests: so a change of DNS is followed. */
  readonly maxAgeMs: number;
}

/**
 * The sessions of one pool: as few as its links have room on, and never more than `maxSessions` that take requests.
 *
 * A session is opened when there is no place on the others, one at a time, and everybody who needs one waits for that one. When
 * there may be no more sessions, links share places, and their requests wait for the server to allow one more stream. A
 * session that was told to go, or is too old, finishes what is on it beside its successor.
 *
 * @internal
 */
export class H2Sessions {
  private readonly sessions = new Set<H2Session>();
  private opening: Opening | undefined;
  private calmUntil = -Infinity;

  constructor(private readonly options: H2SessionsOptions) {}

  /** Finds a place for a link, on another session than `avoided` if there can be one. Rejects with the signal's reason. */
  async place(occupant: Occupant, signal: AbortSignal, avoided?: H2Session): Promise<H2Session> {
    try {
      for (;;) {
        signal.throwIfAborted();
        const session = this.find(avoided);
        if (session !== undefined) {
          session.occupants.add(occupant);
          return session;
        }
        await this.joinOpening(signal);
      }
    } catch (error) {
      // One that was opened for it, perhaps, and for nobody else.
      for (const session of this.sessions) if (session.occupants.size === 0) void session.close();
      throw error;
    }
  }

  /** Whether a link on this session would find a place of its own elsewhere. */
  hasPlaceBeside(crowded: H2Session): boolean {
    if (this.sessions.size < this.options.maxSessions) return true;
    for (const session of this.sessions) if (session !== crowded && session.hasPlace) return true;
    return false;
  }

  private find(avoided: H2Session | undefined): H2Session | undefined {
    const usable = [...this.sessions].filter((session) => session.takesRequests && session !== avoided);
    const free = emptiest(usable.filter(({ hasPlace }) => hasPlace));
    if (free !== undefined || this.opening !== undefined || this.sessions.size < this.options.maxSessions) return free;
    // There can be no other: places are shared.
    return emptiest(usable) ?? (avoided?.takesRequests ? avoided : undefined);
  }

  private async joinOpening(signal: AbortSignal): Promise<void> {
    const opening = (this.opening ??= this.beginOpening());
    opening.awaitedBy += 1;
    let giveUp: (() => void) | undefined;
    try {
      const aborted = new Promise<never>((_resolve, reject) => {
        giveUp = () => reject(signal.reason as Error);
        signal.addEventListener('abort', giveUp, { once: true });
      });
      await Promise.race([opening.done, aborted]);
    } finally {
      signal.removeEventListener('abort', giveUp!);
      opening.awaitedBy -= 1;
      if (opening.awaitedBy === 0) this.abandon(opening, signal.reason);
    }
  }

  private beginOpening(): Opening {
    const controller = new AbortController();
    const opening: Opening = { awaitedBy: 0, controller, done: this.open(controller.signal) };
    const over = (): void => this.forget(opening);
    // Those who wait are told of a failure. There may be none left.
    opening.done.then(over, over);
    return opening;
  }

  private abandon(opening: Opening, reason: unknown): void {
    this.forget(opening);
    opening.controller.abort(reason);
  }

  private forget(opening: Opening): void {
    if (this.opening === opening) this.opening = undefined;
  }

  private async open(signal: AbortSignal): Promise<void> {
    const restMs = this.calmUntil - systemClock.now();
    if (restMs > 0) await pause(restMs, undefined, { signal });
    const session = await this.handshake(signal);
    this.sessions.add(session);
    void session.whenClosed.then(() => this.sessions.delete(session));
    // Everybody has left meanwhile.
    if (signal.aborted) await session.close();
  }

  private async handshake(signal: AbortSignal): Promise<H2Session> {
    const { base, dial, maxAgeMs } = this.options;
    const socket = await dial(signal, ['h2']);
    if (base.protocol === 'https:' && (socket as TLSSocket).alpnProtocol !== 'h2') {
      socket.destroy();
      const problem = "the server does not offer HTTP/2; protocol: 'http/1.1' is what it speaks";
      throw Object.assign(codedError(problem, 'HTTP2_NOT_OFFERED'), { retryable: false });
    }
    const ageMs = maxAgeMs * (1 - AGE_JITTER * Math.random());
    return H2Session.open(socket, base, ageMs, signal, () => (this.calmUntil = systemClock.now() + CALM_MS));
  }
}

/** A session on its way, for all who need one. */
interface Opening {
  awaitedBy: number;
  readonly controller: AbortController;
  readonly done: Promise<void>;
}

function emptiest(sessions: readonly H2Session[]): H2Session | undefined {
  return sessions.reduce<H2Session | undefined>(
    (least, session) => (least === undefined || session.occupants.size < least.occupants.size ? session : least),
    undefined,
  );
}
