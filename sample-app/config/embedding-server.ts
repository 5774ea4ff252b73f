import { randomBytes } from 'node:crypto';
import type { FactoryProvider, OnApplicationShutdown } from '@nestjs/common';
import { ConfigService } from '@nestjs/config';
import { launchEmbeddingUpstream, type LaunchedUpstream } from '../embedding-upstream/launch.js';
import type { Environment } from './environment.js';

/**
 * The server that turns texts into vectors: the one that the environment names, or else one of our own, launched as a
 * process beside this one so that the sample needs no account and no network.
 */
export class EmbeddingServer implements OnApplicationShutdown {
  private constructor(
    readonly url: string,
    readonly headers: Readonly<Record<string, string>>,
    private readonly own?: LaunchedUpstream,
  ) {}

  static async find(config: ConfigService<Environment, true>): Promise<EmbeddingServer> {
    const url = config.get('EMBEDDINGS_URL', { infer: true });
    const apiKey = config.get('EMBEDDINGS_API_KEY', { infer: true });
    if (url !== undefined) return new EmbeddingServer(url, apiKey === undefined ? {} : bearer(apiKey));
    const ownKey = apiKey ?? randomBytes(16).toString('hex');
    const own = await launchEmbeddingUpstream({ apiKey: ownKey });
    return new EmbeddingServer(own.url, bearer(ownKey), own);
  }

  /** For people, on the terminal. */
  get description(): string {
    return this.own === undefined ? this.url : `${this.url} (the sample's own, a process beside this one)`;
  }

  /** By now the last request has been answered and the pool is closed; nobody needs the server any more. */
  async onApplicationShutdown(): Promise<void> {
    this.own?.stop();
    await this.own?.exited;
  }
}

export const embeddingServer: FactoryProvider<EmbeddingServer> = {
  provide: EmbeddingServer,
  inject: [ConfigService],
  useFactory: (config: ConfigService<Environment, true>) => EmbeddingServer.find(config),
};

function bearer(key: string): Record<string, string> {
  return { authorization: `Bearer ${key}` };
}
