import { constants } from 'node:http2';
import type { HttpPoolOptions } from 'nestjs-pools/http';
import { CountingServer } from '../support/http-server.js';
import { CountingH2Server } from './h2-server.js';

/** All that carries requests. */
export const CARRIERS = ['node', 'undici', 'h2'] as const;
export type Carrier = (typeof CARRIERS)[number];

/** An answer, piece by piece, whatever the protocol. */
export interface Reply {
  /** 103: an answer will come. */
  announce(): void;
  head(headers?: Record<string, string>): void;
  write(text: string): void;
  end(body: string | Buffer): void;
  /** Ends it in the middle. */
  breakOff(): void;
  /** Called when all of the request has come. */
  onRequestEnd(listener: () => void): void;
  /** Called when it is over, or its client has given it up. */
  onClose(listener: () => void): void;
}

/** A real server for any of the carriers. */
export interface AnyServer {
  readonly url: string;
  readonly accepted: number;
  /** Answers that neither side has ended: sockets by HTTP/1.1, for a request that is given up costs its socket. */
  readonly open: number;
  stop(): Promise<void>;
}

/** What makes a pool use a carrier. */
export function optionsFor(carrier: Carrier): Partial<HttpPoolOptions> {
  return carrier === 'h2' ? { protocol: 'h2' } : { transport: carrier };
}

export async function serve(carrier: Carrier, answer: (path: string, reply: Reply) => void): Promise<AnyServer> {
  if (carrier === 'h2') {
    const server = await CountingH2Server.start((stream, headers) =>
      answer(headers[':path']!, {
        announce: () => stream.additionalHeaders({ ':status': 103 }),
        head: (headers) => stream.respond({ ':status': 200, ...headers }),
        write: (text) => void stream.write(text),
        end: (body) => void stream.end(body),
        breakOff: () => stream.close(constants.NGHTTP2_INTERNAL_ERROR),
        onRequestEnd: (listener) => void stream.resume().once('end', listener),
        onClose: (listener) => void stream.once('close', listener),
      }),
    );
    return {
      url: server.url,
      get accepted() {
        return server.accepted;
      },
      get open() {
        return server.openStreams;
      },
      stop: () => server.stop(),
    };
  }
  const server = await CountingServer.start((request, response) =>
    answer(request.url!, {
      announce: () => response.writeEarlyHints({ link: '</x>; rel=preload' }),
      head: (headers) => response.writeHead(200, headers).flushHeaders(),
      write: (text) => void response.write(text),
      end: (body) => void response.end(body),
      breakOff: () => void response.destroy(),
      onRequestEnd: (listener) => void request.resume().once('end', listener),
      onClose: (listener) => void response.once('close', listener),
    }),
  );
  return {
    url: server.url,
    get accepted() {
      return server.accepted;
    },
    get open() {
      return server.sockets.size;
    },
    stop: () => server.stop(),
  };
}
