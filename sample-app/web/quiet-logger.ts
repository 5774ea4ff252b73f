import { ConsoleLogger } from '@nestjs/common';

/** What Nest tells of its own start. It would bury the few lines that a first look is for. */
const NEST = new Set(['NestFactory', 'InstanceLoader', 'RoutesResolver', 'RouterExplorer', 'NestApplication']);

/** Nest's logger, without Nest's own chatter. Warnings and errors are told, whoever has them. */
export class QuietLogger extends ConsoleLogger {
  override log(message: unknown, ...rest: unknown[]): void {
    const context = rest.at(-1);
    if (typeof context !== 'string' || !NEST.has(context)) super.log(message, ...rest);
  }
}
