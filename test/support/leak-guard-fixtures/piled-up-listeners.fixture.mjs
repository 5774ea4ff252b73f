import { EventEmitter } from 'node:events';

it('adds more listeners than anybody should', () => {
  const emitter = new EventEmitter();
  for (let i = 0; i < 11; i++) emitter.on('event', () => {});
});
