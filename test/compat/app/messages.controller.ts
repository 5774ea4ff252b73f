import { Controller } from '@nestjs/common';
import { MessagePattern, Payload } from '@nestjs/microservices';
import { type ConnectionPool, InjectPool, Leased, UsePool } from 'nestjs-pools';
import type { Answer } from './counted-upstream.js';

@Controller()
export class MessagesController {
  /** When the message that waits has come, and how it ended. */
  readonly arrived: Promise<void>;
  ended: string | undefined;
  private hasArrived!: () => void;

  constructor(@InjectPool('answers') private readonly pool: ConnectionPool<Answer>) {
    this.arrived = new Promise((resolve) => (this.hasArrived = resolve));
  }

  @MessagePattern('echo')
  @UsePool('answers')
  async echo(@Payload() text: string, @Leased() answer?: Answer): Promise<string> {
    return `${text} by #${answer!.id}`;
  }

  /** Ends when the pool, whose connection it holds, already closes. */
  @UsePool('answers')
  @MessagePattern('late')
  async late(@Payload() text: string, @Leased() answer?: Answer): Promise<string> {
    const closing = new Promise<void>((resolve) => {
      this.pool.on('state', ({ to }) => (to === 'closed' ? resolve() : undefined));
    });
    this.hasArrived();
    await closing;
    this.ended = `${text} by #${answer!.id}, while ${this.pool.state}`;
    return this.ended;
  }
}
