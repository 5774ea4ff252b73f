import base from '../../jest.config.mjs';

/** The fixtures of leak-guard.spec.ts, run by it in a Jest of their own: most of them are meant to fail. */
export default {
  ...base,
  rootDir: '../..',
  testMatch: ['<rootDir>/test/support/leak-guard-fixtures/*.fixture.mjs'],
  testEnvironmentOptions: { leakGuard: { graceMs: 300 } },
};
