it('passes, while a promise nobody looks at rejects after the last test', () => {
  void new Promise((_resolve, reject) => setTimeout(() => reject(new Error('nobody listens')), 20));
});
