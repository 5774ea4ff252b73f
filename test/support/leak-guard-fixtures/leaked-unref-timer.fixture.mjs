it("leaves an interval running that is unref'd", () => {
  setInterval(() => {}, 60_000).unref();
});
