import { setTimeout as sleep } from 'node:timers/promises';

it('handles a rejection a turn after Node gave up on it', async () => {
  const promise = Promise.reject(new Error('too late'));
  await sleep(5);
  await expect(promise).rejects.toThrow('too late');
});
