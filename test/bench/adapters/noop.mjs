/** What a scenario's own loop costs. @type {import('../adapters.mjs').Adapter} */
export const noop = {
  open({ create }) {
    const value = create();
    const acquired = Promise.resolve(value);
    return { acquire: () => acquired, release: () => undefined, use: (work) => work(value) };
  },
};
