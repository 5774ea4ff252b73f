import { Module } from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { PoolExceptionFilter } from 'nestjs-pools';
import { FailureFilter } from './failure.filter.js';

/** What every request has in common. Nest asks the last filter first. */
@Module({
  providers: [
    { provide: APP_FILTER, useClass: FailureFilter },
    { provide: APP_FILTER, useClass: PoolExceptionFilter },
  ],
})
export class WebModule {}
