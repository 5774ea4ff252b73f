import base from '../../jest.config.mjs';

/** `npm run model`: as long as it is told to, see long-run.ts. */
export default {
  ...base,
  rootDir: '../..',
  testMatch: ['<rootDir>/test/model/long-run.ts'],
};
