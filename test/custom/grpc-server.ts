import { join } from 'node:path';
import {
  type CallOptions,
  type Client,
  type ClientReadableStream,
  credentials,
  loadPackageDefinition,
  type sendUnaryData,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceClientConstructor,
  type ServiceError,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import type { GrpcClientClass } from './examples/grpc-pool.js';

export interface Text {
  readonly text: string;
  readonly waitMs?: number;
}

export interface TranslationClient extends Client {
  translate(text: Text, options: CallOptions, done: (error: ServiceError | null, answer?: Text) => void): void;
  spell(text: Text): ClientReadableStream<Text>;
}

const loaded = loadPackageDefinition(loadSync(join(import.meta.dirname, 'translation.proto')));
const service = (loaded['test'] as Record<string, ServiceClientConstructor>)['Translation']!;

export const Translation = service as unknown as GrpcClientClass<TranslationClient>;

/** A real server that counts what goes on at the same time. */
export class TranslationServer {
  calls = 0;
  mostCalls = 0;
  /** What its health service says. */
  isServing = true;
  healthChecks = 0;
  readonly peers = new Set<string>();
  private active = 0;
  private server = this.make();
  private port = 0;

  constructor(private readonly streamsPerConnection: number) {}

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** On the same port as before, if it has had one. */
  async start(): Promise<void> {
    this.server = this.make();
    this.port = await new Promise((resolve, reject) => {
      const address = `127.0.0.1:${this.port}`;
      this.server.bindAsync(address, ServerCredentials.createInsecure(), (error, port) =>
        error === null ? resolve(port) : reject(error),
      );
    });
  }

  /** Its clients are told to go, and go on with what they are at. */
  stopPolitely(): Promise<void> {
    return new Promise((resolve, reject) => this.server.tryShutdown((error) => (error ? reject(error) : resolve())));
  }

  /** Whatever its clients are at. */
  kill(): void {
    this.server.forceShutdown();
  }

  private make(): Server {
    const server = new Server({ 'grpc.max_concurrent_streams': this.streamsPerConnection });
    server.addService(service.service, {
      translate: (call: ServerUnaryCall<Text, Text>, done: sendUnaryData<Text>) => void this.translate(call, done),
      spell: (call: ServerWritableStream<Text, Text>) => {
        for (const letter of call.request.text) call.write({ text: letter });
        call.end();
      },
    });
    const bytes = (buffer: Buffer): Buffer => buffer;
    server.register(
      '/grpc.health.v1.Health/Check',
      (_call: unknown, done: sendUnaryData<Buffer>) => {
        this.healthChecks += 1;
        done(null, Buffer.from([0x08, this.isServing ? 1 : 2]));
      },
      bytes,
      bytes,
      'unary',
    );
    return server;
  }

  private async translate(call: ServerUnaryCall<Text, Text>, done: sendUnaryData<Text>): Promise<void> {
    this.calls += 1;
    this.peers.add(call.getPeer());
    this.mostCalls = Math.max(this.mostCalls, (this.active += 1));
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, call.request.waitMs ?? 0);
      call.once('cancelled', () => {
        clearTimeout(timer);
        resolve();
      });
    });
    this.active -= 1;
    done(null, { text: call.request.text.toUpperCase() });
  }
}

export const insecure = credentials.createInsecure();

/** One call, as a promise. */
export function translate(
  client: TranslationClient,
  text: string,
  waitMs = 0,
  options: CallOptions = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    client.translate({ text, waitMs }, options, (error, answer) => (error ? reject(error) : resolve(answer!.text)));
  });
}

export async function spell(client: TranslationClient, text: string): Promise<string[]> {
  const letters: string[] = [];
  for await (const { text: letter } of client.spell({ text }) as AsyncIterable<Text>) letters.push(letter);
  return letters;
}
