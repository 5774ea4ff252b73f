import { type INestApplicationContext, type LoggerService, Module, type ModuleMetadata } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ConnectionPool, customPool, type PoolDefinition, type PoolLimits } from 'nestjs-pools';
import { GatedFactory, type GatedConnection } from 'nestjs-pools/testing';

/** A definition over a {@link GatedFactory} that the test can reach. */
export function gatedPool(limits: PoolLimits = {}): PoolDefinition<GatedConnection> & { readonly gate: GatedFactory } {
  const gate = new GatedFactory();
  return { ...customPool({ factory: gate, description: 'a test upstream', ...limits }), gate };
}

export type GatedPool = ConnectionPool<GatedConnection>;

/** Log lines of an application, as `level context: text`. */
export const logged: string[] = [];

const logger: LoggerService = {
  log: (...args: unknown[]) => note('log', args),
  warn: (...args: unknown[]) => note('warn', args),
  error: (...args: unknown[]) => note('error', args),
};

function note(level: string, args: unknown[]): void {
  logged.push(`${level} ${String(args.at(-1))}: ${args.slice(0, -1).filter(isText).join(' ')}`);
}

const contexts: INestApplicationContext[] = [];

/** A booted application context of one module; {@link closeAll} closes it. */
export async function boot(metadata: ModuleMetadata): Promise<INestApplicationContext> {
  class TestModule {}
  Module(metadata)(TestModule);
  const context = await NestFactory.createApplicationContext(TestModule, { logger, abortOnError: false });
  contexts.push(context);
  return context;
}

export async function closeAll(): Promise<void> {
  await Promise.all(contexts.splice(0).map((context) => context.close()));
  logged.length = 0;
}

/** What a boot fails with, in words. */
export function message(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'it did not fail',
    (error: Error) => error.message,
  );
}

/** Nest passes `undefined` for a stack that an error line does not have. */
function isText(value: unknown): value is string {
  return typeof value === 'string';
}
