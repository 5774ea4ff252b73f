import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type Agent, type IncomingHttpHeaders, request as httpRequest } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** The built sample. `npm test` builds it first; a single file is run after `npm run build:sample`. */
const MAIN = fileURLToPath(new URL('../../dist-sample/main.js', import.meta.url));
const START_TIMEOUT_MS = 20_000;
const STOP_TIMEOUT_MS = 4_000;

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** What the text says, where it is JSON. */
  readonly json: any;
  readonly tookMs: number;
}

interface CallOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON unless it is a text. */
  readonly body?: unknown;
  /** Without one, a connection for this request alone. */
  readonly agent?: Agent;
}

/** One request over a real socket that is closed afterwards, so that a test leaves none behind. */
export async function call(
  url: string,
  { method = 'GET', headers = {}, body, agent }: CallOptions = {},
): Promise<Answer> {
  const startedAt = performance.now();
  const payload = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
  const type = payload === undefined ? {} : { 'content-type': 'application/json' };
  const request = httpRequest(url, { method, agent: agent ?? false, headers: { ...type, ...headers } });
  request.end(payload);
  const [response] = await once(request, 'response');
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  const isJson = String(response.headers['content-type']).startsWith('application/json');
  return {
    status: response.statusCode,
    headers: response.headers,
    text,
    json: isJson ? JSON.parse(text) : undefined,
    tookMs: performance.now() - startedAt,
  };
}

/** Asks until the answer satisfies, at most for `timeoutMs`. */
export async function until(what: string, timeoutMs: number, isSo: () => Promise<boolean> | boolean): Promise<void> {
  const startedAt = performance.now();
  while (!(await isSo())) {
    if (performance.now() - startedAt > timeoutMs) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await sleep(50);
  }
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** The sample as a process of its own, as a user starts it. */
export class SampleProcess {
  private constructor(
    private readonly child: ChildProcess,
    readonly exited: Promise<Exit>,
  ) {
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.setEncoding('utf8').on('data', (text: string) => (this.output += text));
    }
  }

  /** All that it has written, to both streams. */
  output = '';

  /** Starts it on a free port and waits until it listens; until it has read its documents too, unless told otherwise. */
  static async start(env: NodeJS.ProcessEnv = {}, wait: 'indexed' | 'listening' = 'indexed'): Promise<SampleProcess> {
    const sample = SampleProcess.spawn(env);
    try {
      await sample.untilSaid(/localhost:\d+/u);
      if (wait === 'indexed') await sample.untilIndexed();
      return sample;
    } catch (error) {
      await sample.stop();
      throw new Error(`the sample did not start:\n${sample.output}`, { cause: error });
    }
  }

  /** Starts it and waits for nothing. */
  static spawn(env: NodeJS.ProcessEnv = {}): SampleProcess {
    const child = spawn(process.execPath, [MAIN], {
      env: { PATH: process.env['PATH'], NO_COLOR: '1', PORT: '0', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    // `close` comes when the output has been read as well.
    const exited = once(child, 'close').then(([code, signal]) => ({ code, signal }) as Exit);
    return new SampleProcess(child, exited);
  }

  get url(): string {
    return `http://localhost:${/localhost:(\d+)/u.exec(this.output)![1]}`;
  }

  /** Where its own upstream listens. */
  get upstreamUrl(): string {
    return /embedding upstream listening on (\S+)/u.exec(this.output)![1]!;
  }

  call(path: string, options?: CallOptions): Promise<Answer> {
    return call(`${this.url}${path}`, options);
  }

  search(question: string, agent?: Agent): Promise<Answer> {
    return this.call(`/search?q=${encodeURIComponent(question)}`, agent && { agent });
  }

  untilSaid(pattern: RegExp): Promise<void> {
    return until(`it says ${pattern}`, START_TIMEOUT_MS, () => {
      if (this.child.exitCode !== null) throw new Error('it ended');
      return pattern.test(this.output);
    });
  }

  untilIndexed(): Promise<void> {
    return until('the index is ready', START_TIMEOUT_MS, async () => {
      return (await this.call('/pools')).json.indexing.state === 'ready';
    });
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** For `afterAll`: ends it, if it has not ended yet, the hard way if need be. */
  async stop(): Promise<void> {
    this.child.kill('SIGTERM');
    const force = setTimeout(() => this.child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await this.exited;
    clearTimeout(force);
  }
}
