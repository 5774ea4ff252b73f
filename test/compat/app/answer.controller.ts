import type { Server } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { Controller, Get, Inject } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { type ConnectionPool, InjectPool, Leased, LeasePerRequest, PoolRegistry, UsePool } from 'nestjs-pools';
import { AnswerService } from './answer.service.js';
import type { Answer } from './counted-upstream.js';
import { tell } from './tell.js';

/** How long the upstream works on one request of the load. */
const WORK_MS = 2;

@Controller()
export class AnswerController {
  constructor(
    private readonly answers: AnswerService,
    @InjectPool('answers') private readonly pool: ConnectionPool<Answer>,
    @Inject(PoolRegistry) private readonly registry: PoolRegistry,
    @Inject(HttpAdapterHost) private readonly host: HttpAdapterHost,
  ) {}

  @Get('ways')
  async ways(): Promise<object> {
    return { byHand: await this.answers.byHand(), leased: await this.answers.leased() };
  }

  @Get('request')
  @LeasePerRequest('answers')
  async request(@Leased() answer?: Answer): Promise<object> {
    await sleep(WORK_MS);
    return { held: answer!.id, joined: await this.answers.joined() };
  }

  // Above the route: it works on either side.
  @UsePool('answers')
  @Get('work')
  async work(@Leased() answer?: Answer): Promise<object> {
    await sleep(WORK_MS);
    return { held: answer!.id };
  }

  /** In flight at the signal, and leases only when the application is shutting down. */
  @Get('late')
  async late(): Promise<object> {
    tell({ late: 'arrived' });
    // Of this nobody is told.
    while (!this.registry.isShuttingDown) await sleep(1);
    return { state: this.pool.state, id: await this.answers.leased() };
  }

  /** In flight at the signal, and leases only when the server accepts nobody any more. */
  @Get('latest')
  async latest(): Promise<object> {
    const server = this.host.httpAdapter.getHttpServer() as Server;
    tell({ latest: 'arrived' });
    // Of this a server tells nobody: its event comes when the last request, which is this one, has ended.
    while (server.listening) await sleep(1);
    return { state: this.pool.state, id: await this.answers.leased() };
  }
}
