it('leaves a listener on process', () => {
  process.on('SIGUSR2', () => {});
});
