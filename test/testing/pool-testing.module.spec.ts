import { Injectable, Module } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { ConnectionPool, customPool, getPoolToken, InjectPool, Leased, PoolRegistry, UsePool } from 'nestjs-pools';
import { PoolHealthIndicator, PoolHealthModule } from 'nestjs-pools/health';
import { createFakePool, type FakePool, PoolTestingModule, type PoolTestingModuleOptions } from 'nestjs-pools/testing';

interface Client {
  query(text: string): Promise<string>;
}

const client: Client = { query: async (text) => `rows of ${text}` };

@Injectable()
class Documents {
  constructor(@InjectPool('documents') readonly pool: ConnectionPool<Client>) {}

  find(text: string): Promise<string> {
    return this.pool.use((connection) => connection.query(text));
  }

  @UsePool('documents')
  async findLeased(text: string, @Leased() connection?: Client): Promise<string> {
    return connection!.query(text);
  }
}

let fake: FakePool<Client>;
let testing: TestingModule;

async function testingOf(pools: PoolTestingModuleOptions['pools'] = { documents: fake }): Promise<TestingModule> {
  const imports = [PoolTestingModule.forRoot({ pools }), PoolHealthModule];
  testing = await Test.createTestingModule({ imports, providers: [Documents] }).compile();
  testing.useLogger(false);
  return testing.init();
}

beforeEach(() => {
  fake = createFakePool(client, { name: 'documents' });
});
afterEach(async () => {
  await testing?.close();
  await fake.close();
});

describe('PoolTestingModule', () => {
  it('injects the very pool that it was given', async () => {
    await testingOf();
    expect(testing.get(Documents).pool).toBe(fake);
    expect(testing.get(getPoolToken('documents'))).toBe(fake);
    expect(await testing.get(Documents).find('pools')).toBe('rows of pools');
  });

  it('lends from it to methods under UsePool', async () => {
    await testingOf();
    expect(await testing.get(Documents).findLeased('pools')).toBe('rows of pools');
    expect(fake.stats().released).toBe(1);
  });

  it('lets modules below inject without importing anything', async () => {
    @Module({ providers: [Documents] })
    class FeatureModule {}
    testing = await Test.createTestingModule({
      imports: [FeatureModule, PoolTestingModule.forRoot({ pools: { documents: fake } })],
    }).compile();
    expect(testing.get(Documents, { strict: false }).pool).toBe(fake);
  });

  it('enters the pools into the registry, where health checks find them', async () => {
    await testingOf();
    expect(testing.get(PoolRegistry).list()).toMatchObject([{ name: 'documents', pool: fake }]);
    fake.failWith(new Error('refused'));
    await testing
      .get(Documents)
      .find('pools')
      .catch(() => undefined);
    const health = testing.get(PoolHealthIndicator, { strict: false });
    expect(health.isHealthy('documents')).toMatchObject({ documents: { status: 'down' } });
  });

  it('makes a pool of a definition', async () => {
    const definition = customPool<Client>({ factory: { create: () => client }, minConnections: 0, maxConnections: 3 });
    await testingOf({ documents: definition });
    expect(await testing.get(Documents).find('pools')).toBe('rows of pools');
    expect(testing.get(Documents).pool.stats()).toMatchObject({ maxConnections: 3, created: 1 });
  });

  it('takes a real pool too, and several pools at once', async () => {
    const real = new ConnectionPool({ name: 'files', factory: { create: () => client }, minConnections: 0 });
    await testingOf({ documents: fake, files: real });
    expect(testing.get(PoolRegistry).get('files')).toBe(real);
  });

  it('closes the pools with the application', async () => {
    await testingOf();
    await testing.close();
    expect(fake.state).toBe('closed');
  });

  it('refuses by name what is no pool, and says how to make one of it', async () => {
    const pools = { documents: client, files: undefined, texts: fake } as unknown as PoolTestingModuleOptions['pools'];
    expect(() => PoolTestingModule.forRoot({ pools })).toThrow(
      expect.objectContaining({
        code: 'POOL_OPTIONS',
        problems: [
          'documents: expected a pool, or what httpPool(…) or another kind returns, got a value of type object; ' +
            'wrap it, as in createFakePool(connection)',
          'files: expected a pool, or what httpPool(…) or another kind returns, got nothing; ' +
            'wrap it, as in createFakePool(connection)',
        ],
      }),
    );
  });

  it.each([undefined, {}, { pools: {} }, { pools: [] }])('refuses %j, which names no pool', (options) => {
    expect(() => PoolTestingModule.forRoot(options as never)).toThrow(
      'pools: expected at least one, as in { documents: createFakePool(connection) }',
    );
  });

  it('refuses a pool that an earlier application has closed', async () => {
    await testingOf();
    await testing.close();
    expect(() => PoolTestingModule.forRoot({ pools: { documents: fake } })).toThrow(
      'documents: this pool is closed, as an application leaves its pools; make a new one for each test',
    );
  });
});
