import type { ModulesContainer } from '@nestjs/core';

type BootHook = 'onModuleInit' | 'onApplicationBootstrap';

/**
 * Calls `failed` when one of the hooks fails that Nest calls after those of `own`, and lets it fail.
 *
 * Nest tells nobody that a boot has failed, and the caller of `createApplicationContext` gets no context that it could
 * close; so for the length of one call each hook has a wrapper around it.
 *
 * @internal
 */
export function watchBoot(modules: ModulesContainer, own: object, hook: BootHook, failed: () => Promise<void>): void {
  for (const instance of calledAfter(modules, own)) {
    const call: unknown = instance[hook];
    if (typeof call !== 'function') continue;
    const before = Object.getOwnPropertyDescriptor(instance, hook);
    const restore = (): void => {
      if (before === undefined) Reflect.deleteProperty(instance, hook);
      else Reflect.defineProperty(instance, hook, before);
    };
    const watched = async function (this: unknown, ...args: unknown[]): Promise<unknown> {
      restore();
      try {
        return (await Reflect.apply(call, this, args)) as unknown;
      } catch (error) {
        await failed();
        throw error;
      }
    };
    // Refused by an object that is frozen; then its failure is not heard, no more.
    Reflect.defineProperty(instance, hook, { value: watched, configurable: true, writable: true });
  }
}

/** Nest goes through the modules from the farthest to the nearest, global ones first. */
function calledAfter(modules: ModulesContainer, own: object): Set<Record<BootHook, unknown>> {
  const order = [...modules.values()].toSorted((one, other) => other.distance - one.distance);
  const ours = order.findIndex((module) => [...module.providers.values()].some(({ instance }) => instance === own));
  return new Set(order.slice(ours + 1).flatMap((module) => instancesOf(module)));
}

type Module = ModulesContainer extends Map<string, infer M> ? M : never;

/** What a module holds that lives as long as the application. */
function instancesOf(module: Module): Record<BootHook, unknown>[] {
  return wrappersOf(module)
    .map(({ instance }) => instance as unknown)
    .filter((instance): instance is Record<BootHook, unknown> => typeof instance === 'object' && instance !== null);
}

/**
 * What factories made or `useValue` gave: Nest injects nothing into the properties of those.
 *
 * @internal
 */
export function instancesNotMadeByNest(modules: ModulesContainer): unknown[] {
  return [...modules.values()]
    .flatMap((module) => wrappersOf(module))
    .filter(({ inject, metatype }) => metatype === null || Array.isArray(inject))
    .map(({ instance }) => instance as unknown);
}

function wrappersOf(module: Module) {
  const all = [module.providers, module.controllers, module.injectables, module.middlewares];
  return all.flatMap((wrappers) => [...wrappers.values()]).filter((wrapper) => wrapper.isDependencyTreeStatic());
}
