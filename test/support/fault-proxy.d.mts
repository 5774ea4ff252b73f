/** `ok`: bytes pass. `half-open` stays with the connections of that time for ever; all else ends with the mode. */
export type NetworkMode = 'ok' | 'latency' | 'stall' | 'reset' | 'half-open' | 'cut';

/** A TCP proxy that is a bad network on request. */
export class FaultProxy {
  private constructor();
  static start(target: { host: string; port: number }): Promise<FaultProxy>;
  readonly host: string;
  readonly port: number;
  mode: NetworkMode;
  latencyMs: number;
  /** Connections taken so far. */
  readonly accepted: number;
  /** Connections whose client side is open. */
  readonly clients: number;
  /** Those of them that no byte will ever pass again. */
  readonly halfOpen: number;
  /** The ports that the server sees, of connections whose client side is open. */
  readonly serverSidePorts: ReadonlySet<number | undefined>;
  /** Ends every connection at once and stops listening. */
  stop(): Promise<void>;
}
