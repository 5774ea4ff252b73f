import { Module } from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { PoolExceptionFilter, PoolModule } from 'nestjs-pools';
import { PoolHealthModule } from 'nestjs-pools/health';
import { AnswerController } from './answer.controller.js';
import { AnswerService } from './answer.service.js';
import { CountedUpstream, UpstreamModule } from './counted-upstream.js';
import { UpstreamController } from './upstream.controller.js';

@Module({
  imports: [
    PoolModule.forRootAsync({
      pools: ['answers'],
      imports: [UpstreamModule],
      inject: [CountedUpstream],
      useFactory: (upstream) => ({ answers: upstream.definition() }),
    }),
    PoolHealthModule,
    UpstreamModule,
  ],
  controllers: [AnswerController, UpstreamController],
  providers: [AnswerService, { provide: APP_FILTER, useClass: PoolExceptionFilter }],
})
export class AppModule {}
