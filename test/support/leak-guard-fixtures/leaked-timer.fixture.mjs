it('leaves a timer running', () => {
  setTimeout(() => {}, 60_000);
});
