import {
  type ConnectionFactory,
  customPool,
  KeyedPools,
  type KeyedPoolsOptions,
  type PoolDefinition,
  type PoolLimits,
} from 'nestjs-pools';
import { type GatedConnection, GatedFactory, type GatedHook, ManualClock } from 'nestjs-pools/testing';

/**
 * What all tenants' pools connect to. It counts its connections itself: from the beginning of a create until that has
 * failed, or the destroy has ended.
 */
class Upstream {
  there = 0;
  most = 0;
  readonly byKey = new Map<string, GatedFactory>();

  /** A factory of one tenant, who has the same one again if his pool is made again. */
  gate(key: string): GatedFactory {
    const gate = this.byKey.get(key) ?? new GatedFactory();
    this.byKey.set(key, gate);
    return gate;
  }

  counted<T>(factory: Required<Pick<ConnectionFactory<T>, 'create' | 'destroy'>>): ConnectionFactory<T> {
    return {
      create: async (context) => {
        this.come();
        try {
          return await factory.create(context);
        } catch (error) {
          this.there -= 1;
          throw error;
        }
      },
      destroy: async (connection, context) => {
        try {
          await factory.destroy(connection, context);
        } finally {
          this.there -= 1;
        }
      },
    };
  }

  private come(): void {
    this.there += 1;
    this.most = Math.max(this.most, this.there);
  }
}

export interface KeyedRigOptions extends Omit<KeyedPoolsOptions, 'clock'> {
  /** Of every pool. */
  readonly limits?: PoolLimits;
  readonly hooks?: readonly GatedHook[];
}

/** Keyed pools of gated connections, all on one clock that stands still. */
export function keyedRig({ limits = {}, hooks = [], ...options }: KeyedRigOptions = {}) {
  const clock = new ManualClock();
  const upstream = new Upstream();
  const asked: string[] = [];
  const template = (key: string): PoolDefinition<GatedConnection> => {
    asked.push(key);
    const gate = upstream.gate(key);
    const factory = upstream.counted(gate);
    for (const hook of hooks) Object.assign(factory, { [hook]: gate[hook] });
    return customPool({ factory, ...limits });
  };
  const pools = new KeyedPools<GatedConnection>('tenants', template, { ...options, clock });
  return { pools, clock, upstream, asked };
}

export type Tenants = KeyedPools<GatedConnection>;
