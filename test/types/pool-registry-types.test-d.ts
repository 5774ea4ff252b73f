/**
 * Compiled, never run: what a project gains that declares its pools once. What it declares is known to all of the program, so
 * this stands in a file of its own, under names of its own.
 */
import { Injectable } from '@nestjs/common';
import { type ConnectionPool, InjectPool, Leased, PoolRegistry, UsePool } from 'nestjs-pools';
import type { HttpConnection } from 'nestjs-pools/http';

interface Session {
  query(sql: string): Promise<string[]>;
}

interface SessionPool extends ConnectionPool<Session> {
  readonly dialect: string;
}

declare module 'nestjs-pools' {
  interface PoolRegistryTypes {
    declaredHttp: ConnectionPool<HttpConnection>;
    declaredSessions: SessionPool;
  }
}

export function fromRegistry(registry: PoolRegistry): string {
  const sessions: SessionPool = registry.get('declaredSessions');
  const anything: ConnectionPool<any> = registry.get('undeclared');
  const said: ConnectionPool<number> = registry.get<ConnectionPool<number>>('undeclared');
  // @ts-expect-error the pool of that name is another one
  const wrong: ConnectionPool<HttpConnection> = registry.get('declaredSessions');
  return sessions.dialect + anything.name + said.name + wrong.name;
}

@Injectable()
export class Right {
  @InjectPool('declaredSessions')
  readonly property!: SessionPool;

  constructor(
    @InjectPool('declaredSessions') readonly sessions: SessionPool,
    @InjectPool('declaredSessions') readonly asPool: ConnectionPool<Session>,
    @InjectPool('undeclared') readonly undeclared: ConnectionPool<number>,
    private readonly registry: PoolRegistry,
  ) {}

  @UsePool('declaredSessions')
  async query(sql: string, @Leased() session?: Session): Promise<string[]> {
    return this.registry.has('x') ? [] : session!.query(sql);
  }

  @UsePool('declaredSessions')
  @UsePool('declaredHttp')
  async both(@Leased('declaredSessions') _a?: Session, @Leased('declaredHttp') _b?: HttpConnection): Promise<void> {}

  @UsePool('declaredSessions')
  async withoutLeased(_text: string, _other: object): Promise<void> {}

  @UsePool('undeclared')
  private async hidden(@Leased() _connection?: HttpConnection): Promise<void> {}

  call(): Promise<void> {
    return this.hidden();
  }
}

@Injectable()
export class Wrong {
  // @ts-expect-error a property of another type than the pool
  @InjectPool('declaredSessions')
  readonly property!: ConnectionPool<HttpConnection>;

  constructor(
    // @ts-expect-error a parameter of another type than the pool
    @InjectPool('declaredSessions') readonly sessions: ConnectionPool<HttpConnection>,
    // @ts-expect-error a connection is not its pool
    @InjectPool('declaredSessions') readonly session: Session,
  ) {}

  // @ts-expect-error a parameter for the connection of another pool
  @UsePool('declaredSessions')
  async query(_sql: string, @Leased() _connection?: HttpConnection): Promise<void> {}

  // @ts-expect-error the same where the compiler sees no names: the method is private
  @UsePool('declaredSessions')
  private async hidden(@Leased() _connection?: HttpConnection): Promise<void> {}

  @UsePool('declaredSessions')
  @UsePool('declaredHttp')
  async swapped(
    // @ts-expect-error a parameter that is marked for the other pool
    @Leased('declaredHttp') _a?: Session,
    // @ts-expect-error and the other way round
    @Leased('declaredSessions') _b?: HttpConnection,
  ): Promise<void> {}

  call(): Promise<void> {
    return this.hidden();
  }
}
