import { Command, type Redis } from 'ioredis';
import { CLIENT_QUESTIONS, CLIENT_UNDO, mayBlock, NOTED } from './redis-commands.js';
import { forgetArguments, isReply, notReusable } from './redis-errors.js';

type Kind = 'subscribe' | 'psubscribe' | 'ssubscribe';
type Argument = Command['args'][number];

/**
 * What a borrower leaves behind on one connection to one server, and how it is undone.
 *
 * It sees every command on its way out, whether from a method, from `call()`, a pipeline or a script, and follows the server's
 * state by the answers. ioredis itself follows some of it, but not `WATCH` and not what is sent by `call('SELECT', …)`.
 * So a connection that comes back clean costs no round trip.
 *
 * @internal
 */
export class RedisSession {
  /** Whether its socket keeps the process alive: only one in use does. */
  private isAwake = true;
  /** A noted command was sent since the connection came back last. */
  private isTouched = false;
  private spoiledBy: string | undefined = undefined;
  private isInMulti = false;
  /** The same as of the commands sent, their answers still to come. */
  private wasMultiSent = false;
  private isWatching = false;
  /** `NaN`: nobody knows. */
  private db: number;
  private unsettled = 0;
  private readonly channels: Record<Kind, Set<Argument>> = {
    subscribe: new Set(),
    psubscribe: new Set(),
    ssubscribe: new Set(),
  };
  private readonly undo = new Map<string, readonly string[]>();
  private readonly sendNow: Redis['sendCommand'];
  private homeDb: number;

  constructor(private readonly redis: Redis) {
    this.sendNow = redis.sendCommand.bind(redis);
    this.db = this.homeDb = redis.options.db ?? 0;
    const sendCommand: Redis['sendCommand'] = (command, stream) => {
      // What ioredis sends to set a connection up is no borrower's doing.
      if (redis.status === 'ready') this.note(command);
      return this.sendNow(command, stream);
    };
    Object.defineProperty(redis, 'sendCommand', { value: sendCommand, configurable: true, writable: true });
  }

  /** Takes what has been set up until now for what each borrower is to find. */
  settleIn(): void {
    this.homeDb = this.redis.condition?.select ?? this.homeDb;
    this.db = this.homeDb;
    this.isTouched = false;
    this.spoiledBy = undefined;
    this.undo.clear();
    this.rest();
  }

  /** Whether the server holds something for the borrower that is lost with the connection. */
  get isInTransaction(): boolean {
    return this.isWatching || this.isInMulti || this.wasMultiSent || this.unsettled > 0;
  }

  /** Whether the next borrower may have it as it is. No I/O. */
  get isClean(): boolean {
    return this.redis.commandQueue.length === 0 && !this.hasAutoPipeline && (!this.isTouched || this.isUntouched);
  }

  /** Lets the process end, as far as this connection goes. */
  rest(): void {
    if (this.isAwake) this.redis.stream?.unref();
    this.isAwake = false;
    this.isTouched = false;
  }

  /** Sends a command of the pool's own, unseen. */
  send(name: string, args: readonly Argument[] = []): Promise<unknown> {
    const command = new Command(name, [...args], { replyEncoding: 'utf8' });
    void this.sendNow(command);
    return command.promise;
  }

  /** Asks for a sign of life. A server that forbids the question answers it all the same. */
  async ping(): Promise<void> {
    await this.send('ping').catch((error: unknown) => {
      if (!isReply(error) || !error.message.startsWith('NOPERM')) throw error;
    });
  }

  /**
   * Waits for what is still in flight, then undoes what the borrower left. Rejects where that cannot be done; the
   * connection must then be closed.
   */
  async clean(signal: AbortSignal): Promise<void> {
    await this.quiesce(signal);
    if (this.spoiledBy !== undefined) throw notReusable(this.spoiledBy);
    // Everything else could only be queued before it; it ends the watch as well.
    if (this.isInMulti) await this.send('discard');
    // By itself: under RESP2 ioredis refuses everything else until it is done.
    await this.unsubscribe();
    const undo = [...this.undo.values()];
    if (this.isWatching && !this.isInMulti) undo.push(['unwatch']);
    if (this.db !== this.homeDb) undo.push(['select', String(this.homeDb)]);
    await Promise.all(undo.map(([name, ...args]) => this.send(name!, args)));
    this.isInMulti = this.isWatching = this.wasMultiSent = false;
    this.undo.clear();
    this.db = this.homeDb;
    if (!this.isClean) throw notReusable('its borrower goes on using it');
  }

  /** Until every command that was sent has been answered. One that waits at the server would take the next borrower's answer. */
  private async quiesce(signal: AbortSignal): Promise<void> {
    while (this.hasAutoPipeline && !signal.aborted) await new Promise((resolve) => setImmediate(resolve));
    const { commandQueue } = this.redis;
    if (this.spoiledBy !== undefined || (commandQueue.length === 0 && this.unsettled === 0)) return;
    for (let index = 0; index < commandQueue.length; index += 1) {
      const command = commandQueue.peekAt(index)?.command;
      if (command !== undefined && mayBlock(command))
        throw notReusable(`it came back in the middle of ${command.name}`);
    }
    // Answers come in order: whatever was sent before this has been answered then.
    await this.ping();
    if (commandQueue.length > 0 || this.unsettled > 0) throw notReusable('it came back with commands under way');
  }

  private async unsubscribe(): Promise<void> {
    const kinds = Object.entries(this.channels).filter(([, channels]) => channels.size > 0);
    // Each by name: ioredis never answers an UNSUBSCRIBE without names while there are patterns too.
    await Promise.all(kinds.map(([kind, channels]) => this.send(kind.replace('sub', 'unsub'), [...channels])));
    for (const [, channels] of kinds) channels.clear();
    if (this.redis.condition?.subscriber) throw notReusable('it is still subscribed');
  }

  private get hasAutoPipeline(): boolean {
    return this.redis.options.enableAutoPipelining === true && this.redis.autoPipelineQueueSize > 0;
  }

  private get isUntouched(): boolean {
    const { subscribe, psubscribe, ssubscribe } = this.channels;
    const isSubscribed = subscribe.size + psubscribe.size + ssubscribe.size > 0 || !!this.redis.condition?.subscriber;
    const isPlain = this.spoiledBy === undefined && this.undo.size === 0 && this.db === this.homeDb;
    return isPlain && !isSubscribed && !this.isInTransaction;
  }

  private note(command: Command): void {
    if (!this.isAwake) {
      this.isAwake = true;
      this.redis.stream.ref();
    }
    const word = command.name.toLowerCase();
    if (NOTED.has(word)) this.noteChange(word, command);
  }

  private noteChange(word: string, command: Command): void {
    this.isTouched = true;
    switch (word) {
      case 'subscribe':
      case 'psubscribe':
      case 'ssubscribe':
        // Queued, it is answered in a way that confuses ioredis.
        if (this.wasMultiSent) return this.spoil(`${word} inside of MULTI`);
        for (const channel of command.args) this.channels[word].add(channel);
        return;
      case 'unsubscribe':
      case 'punsubscribe':
      case 'sunsubscribe': {
        const channels = this.channels[word.replace('unsub', 'sub') as Kind];
        if (command.args.length === 0) channels.clear();
        for (const channel of command.args) channels.delete(channel);
        return;
      }
      case 'client':
        return this.noteClient(String(command.args[0]).toLowerCase());
      case 'readonly':
      case 'readwrite':
        this.undo.set('mode', [this.redis.options.readOnly ? 'readonly' : 'readwrite']);
        return;
      case 'multi':
      case 'exec':
      case 'discard':
        this.wasMultiSent = word === 'multi';
        return this.follow(word, command);
      case 'watch':
      case 'unwatch':
      case 'select':
        return this.follow(word, command);
      case 'acl':
      case 'config':
      case 'migrate':
        // These hold passwords as AUTH does, which ioredis would show in an error.
        command.promise.catch(forgetArguments);
        return;
      default:
        command.promise.catch(forgetArguments);
        // HELLO alone only asks.
        if (word !== 'hello' || command.args.length > 0) this.spoil(`${word.toUpperCase()} cannot be undone`);
    }
  }

  private noteClient(word: string): void {
    const undo = CLIENT_UNDO[word];
    if (undo !== undefined) this.undo.set(word, ['client', ...undo]);
    else if (word === 'setname') this.undo.set(word, ['client', word, this.redis.options.connectionName ?? '']);
    else if (!CLIENT_QUESTIONS.has(word)) this.spoil(`CLIENT ${word.toUpperCase()} cannot be undone`);
  }

  /** Answers come in the order of the commands, so the state follows from them one by one. */
  private follow(word: string, command: Command): void {
    this.unsettled += 1;
    command.promise.then(
      (reply: unknown) => {
        this.unsettled -= 1;
        this.answered(word, command, reply);
      },
      (error: unknown) => {
        this.unsettled -= 1;
        // Given up by the client: what the server made of it nobody knows.
        if (!isReply(error)) this.spoil(`nobody knows what became of its ${word.toUpperCase()}`);
        else if (error.message.startsWith('EXECABORT')) this.isInMulti = this.isWatching = false;
      },
    );
  }

  private answered(word: string, command: Command, reply: unknown): void {
    if (word === 'exec' || word === 'discard') this.isInMulti = this.isWatching = false;
    else if (word === 'select') this.db = String(reply) === 'OK' ? Number(command.args[0]) : NaN;
    // The answer is QUEUED inside of MULTI, and what becomes of it is EXEC's or DISCARD's doing.
    else if (String(reply) !== 'OK') return;
    else if (word === 'multi') this.isInMulti = true;
    else this.isWatching = word === 'watch';
  }

  private spoil(reason: string): void {
    this.spoiledBy ??= reason;
  }
}
