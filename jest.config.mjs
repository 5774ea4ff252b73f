/** Jest in native ESM (`--experimental-vm-modules`, see the `test` script): the tests import lib/ as users import the package. */
export default {
  // In one process, as Jest chooses for two cores, the heap of all files together makes the model tests four times slower. For
  // the same reason the model comes first, and a worker that has grown is replaced.
  maxWorkers: 2,
  workerIdleMemoryLimit: '300MB',
  testSequencer: '<rootDir>/test/support/heaviest-first.sequencer.mjs',
  // Where it matters how long something takes, the test says so itself; a machine with other work on it is no failure.
  testTimeout: 20_000,
  testEnvironment: '<rootDir>/test/support/leak-guard.environment.mjs',
  testMatch: ['<rootDir>/test/**/*.spec.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: {
    '^nestjs-pools$': '<rootDir>/lib/index.ts',
    '^nestjs-pools/([a-z/]+)$': '<rootDir>/lib/$1/index.ts',
    '^(\\.{1,2}/.*)\\.js$': '$1',
  },
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: {
          target: 'es2022',
          parser: { syntax: 'typescript', decorators: true },
          // As tsconfig.json has it.
          transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: false },
          keepClassNames: true,
        },
        module: { type: 'es6' },
        sourceMaps: 'inline',
      },
    ],
  },
  collectCoverageFrom: ['lib/**/*.ts', '!lib/**/index.ts'],
  coverageProvider: 'babel',
};
