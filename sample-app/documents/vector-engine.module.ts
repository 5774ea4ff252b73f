import { Module } from '@nestjs/common';
import { VectorEngine } from './vector-engine.js';

/** The engine alone: the pools need it, and all else needs the pools. */
@Module({ providers: [VectorEngine], exports: [VectorEngine] })
export class VectorEngineModule {}
