import type { Http2SecureServer, Http2Server, ServerHttp2Session } from 'node:http2';
import { LAST_REQUEST_MS, type Release, type ReleaseReport } from './client-release.js';

type Server = (Http2Server | Http2SecureServer) & { closeIdleConnections?(): void };

/**
 * The same for HTTP/2, whose sessions stay for as long as both sides like: each is told that no request will be taken any
 * more, answers those that it has, and ends. Without that, one idle client holds a shutdown for ever.
 *
 * @internal
 */
export class SessionRelease implements Release {
  private readonly sessions = new Set<ServerHttp2Session>();
  private cutter: NodeJS.Timeout | undefined;

  constructor(private readonly server: Server) {
    server.on('session', this.onSession);
  }

  /** A server of HTTP/2 is no class that could be asked; it alone has this. */
  static canServe(server: unknown): server is Server {
    return typeof (server as Partial<Http2Server> | undefined)?.updateSettings === 'function';
  }

  /** Their clients come back with new sessions, and those are served too. */
  begin(): void {
    for (const session of this.sessions) session.close();
  }

  beforeServerCloses(): Promise<void> {
    if (this.cutter === undefined && this.server.listening) {
      this.server.close();
      this.begin();
      // Of clients that speak HTTP/1 to it.
      this.server.closeIdleConnections?.();
      this.cutter = setTimeout(() => {
        for (const session of this.sessions) session.destroy();
      }, LAST_REQUEST_MS);
    }
    return Promise.resolve();
  }

  /** Requests are counted by nobody here. */
  end(): ReleaseReport {
    clearTimeout(this.cutter);
    this.server.off('session', this.onSession);
    return { answered: 0, cut: 0 };
  }

  private readonly onSession = (session: ServerHttp2Session): void => {
    this.sessions.add(session);
    session.once('close', () => this.sessions.delete(session));
  };
}
