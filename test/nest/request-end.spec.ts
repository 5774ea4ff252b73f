import { EventEmitter } from 'node:events';
import { Readable } from 'node:stream';
import { type ExecutionContext, StreamableFile } from '@nestjs/common';
import { RequestEnd } from '../../lib/nest/request-end.js';

/** A response as far as its end goes. */
class Response extends EventEmitter {
  closed = false;
  writableFinished = false;

  end(): void {
    this.writableFinished = true;
    this.close();
  }

  close(): void {
    this.closed = true;
    this.emit('close');
  }
}

function requestOver(response: Response | undefined): RequestEnd {
  const context = {
    getType: () => (response === undefined ? 'rpc' : 'http'),
    switchToHttp: () => ({ getResponse: () => response }),
  };
  return new RequestEnd(context as unknown as ExecutionContext);
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Whether a request is over by now. */
async function isOver(request: RequestEnd): Promise<boolean> {
  let hasEnded = false;
  void request.over().then(() => (hasEnded = true));
  await turn();
  return hasEnded;
}

describe('a request is over', () => {
  it('when its response has ended, and what the handler gave has too', async () => {
    const response = new Response();
    const request = requestOver(response);
    const file = new Readable({ read: () => undefined });
    expect(request.pass(file)).toBe(file);
    response.end();
    expect(await isOver(request)).toBe(false);
    file.destroy();
    await turn();
    expect(await isOver(request)).toBe(true);
  });

  it('not when what the handler gave has ended, but the response has not', async () => {
    const response = new Response();
    const request = requestOver(response);
    const file = new Readable({ read: () => undefined });
    request.pass(new StreamableFile(file));
    file.destroy();
    await turn();
    expect(await isOver(request)).toBe(false);
    response.end();
    expect(await isOver(request)).toBe(true);
  });

  it('at once where there is no response, and nothing that goes on', async () => {
    const request = requestOver(undefined);
    expect(request.pass('a value')).toBe('a value');
    expect(await isOver(request)).toBe(true);
    expect(request.signal.aborted).toBe(false);
  });

  it('when the client leaves: its signal is aborted, and what was being sent is destroyed', async () => {
    const response = new Response();
    const request = requestOver(response);
    const file = new Readable({ read: () => undefined });
    request.pass(new StreamableFile(file));
    response.close();
    await turn();
    expect([request.signal.aborted, file.destroyed]).toEqual([true, true]);
    expect(await isOver(request)).toBe(true);
  });

  it('with a client that had left before it began', async () => {
    const response = new Response();
    response.close();
    const request = requestOver(response);
    expect([request.signal.aborted, await isOver(request)]).toEqual([true, true]);
  });
});
