import { ADDRCONFIG, lookup as systemLookup, type LookupAddress } from 'node:dns';
import { connect, getDefaultAutoSelectFamily, isIP, type LookupFunction, type Socket } from 'node:net';
import { codeOf, HttpDialError, nameOf, type Peer } from './dial-error.js';
import type { HttpNetworkOptions } from './dial-settings.js';
import { step } from './socket-step.js';

/** As RFC 8305 advises. */
const ATTEMPT_DELAY_MS = 250;
const TCP_KEEP_ALIVE_MS = 60_000;

interface FailedAttempt {
  readonly address: string;
  readonly code: string;
}

/**
 * A socket to whichever address of a peer answers first ("happy eyeballs").
 *
 * The addresses are tried in turn, families mixed, the next one as soon as one fails or has been silent for a while. A silent
 * one is kept on trying beside the next. Node's own `autoSelectFamily` gives it up after 250 ms, and so reaches no server
 * that is further away than that (nodejs/node#54359).
 *
 * @internal
 */
export async function connectTo(peer: Peer, network: HttpNetworkOptions, signal: AbortSignal): Promise<Socket> {
  const { autoSelectFamily = getDefaultAutoSelectFamily() } = network;
  const addresses = await addressesOf(peer, network, signal);
  return race(peer, autoSelectFamily ? addresses : addresses.slice(0, 1), network, signal);
}

/** The system's connect options for every socket. */
function tcpOptions({ localAddress, tcpKeepAliveMs = TCP_KEEP_ALIVE_MS }: HttpNetworkOptions): object {
  const isProbed = tcpKeepAliveMs < 2 ** 31;
  return {
    noDelay: true,
    ...(isProbed && { keepAlive: true, keepAliveInitialDelay: tcpKeepAliveMs }),
    ...(localAddress !== undefined && { localAddress }),
  };
}

async function addressesOf(peer: Peer, network: HttpNetworkOptions, signal: AbortSignal): Promise<string[]> {
  if (isIP(peer.host) !== 0) return [peer.host];
  const { lookup = systemLookup as LookupFunction, localAddress = '' } = network;
  // An address of the other family than our own cannot be reached from it.
  const family = network.family || (isIP(localAddress) as 0 | 4 | 6);
  // As Node does: no addresses of a family that this machine does not speak.
  const hints = family === 0 && process.platform !== 'win32' ? ADDRCONFIG : 0;
  const found = await step<LookupAddress[]>(
    signal,
    ({ resolve, reject }) => {
      const fail = (error: unknown): void => reject(lookupFailure(peer, codeOf(error)));
      try {
        lookup(peer.host, { all: true, family, hints }, (error, answer, itsFamily = 0) => {
          if (error) fail(error);
          // One that does not know of `all` answers with a single address.
          else resolve(Array.isArray(answer) ? answer : [{ address: answer, family: itsFamily }]);
        });
      } catch (error) {
        fail(error);
      }
    },
    () => {},
  );
  const addresses = found.map(({ address }) => address).filter((address) => isIP(address) !== 0);
  if (addresses.length === 0) throw lookupFailure(peer, 'ENOTFOUND');
  return mixed(addresses);
}

function lookupFailure(peer: Peer, code: string): HttpDialError {
  return new HttpDialError({
    phase: peer.isProxy ? 'proxy' : 'dns',
    code,
    target: peer.name,
    message: `looking up the address of ${nameOf(peer)} failed: ${code}`,
  });
}

/** The families in turn, the first answer's first, so that one dead family costs one delay and not one per address. */
function mixed(addresses: readonly string[]): string[] {
  const first = addresses.filter((address) => isIP(address) === isIP(addresses[0]!));
  const second = addresses.filter((address) => isIP(address) !== isIP(addresses[0]!));
  const rounds = Math.max(first.length, second.length);
  return Array.from({ length: rounds }, (_, round) => [first[round], second[round]])
    .flat()
    .filter((address) => address !== undefined);
}

function race(
  peer: Peer,
  addresses: readonly string[],
  network: HttpNetworkOptions,
  signal: AbortSignal,
): Promise<Socket> {
  const { attemptDelayMs = ATTEMPT_DELAY_MS } = network;
  const options = tcpOptions(network);
  const running = new Set<Socket>();
  const failed: FailedAttempt[] = [];
  const waiting = [...addresses];
  let timer: NodeJS.Timeout | undefined;
  const end = (winner?: Socket): void => {
    clearTimeout(timer);
    running.delete(winner!);
    for (const loser of running) loser.destroy();
    running.clear();
  };
  return step<Socket>(
    signal,
    ({ resolve, reject }) => {
      const tryNext = (): void => {
        clearTimeout(timer);
        const address = waiting.shift();
        if (address === undefined) {
          if (running.size === 0) reject(connectFailure(peer, failed));
          return;
        }
        const socket = connect({ ...options, host: address, port: peer.port });
        running.add(socket);
        // For the life of the socket, see `neverThrow`.
        socket.on('error', (error) => {
          if (!running.delete(socket)) return;
          failed.push({ address, code: codeOf(error) });
          tryNext();
        });
        socket.once('connect', () => {
          end(socket);
          resolve(socket);
        });
        if (waiting.length > 0 && attemptDelayMs < 2 ** 31) timer = setTimeout(tryNext, attemptDelayMs);
      };
      tryNext();
    },
    end,
  );
}

/** Says that there is no way to an address at all, which of several failures tells the least. */
const NO_ROUTE = ['ENETUNREACH', 'EHOSTUNREACH', 'EADDRNOTAVAIL', 'EAFNOSUPPORT'];

function connectFailure(peer: Peer, failed: readonly FailedAttempt[]): HttpDialError {
  const { code } = failed.find((attempt) => !NO_ROUTE.includes(attempt.code)) ?? failed[0]!;
  const all = failed.map((attempt) => `${attempt.address}: ${attempt.code}`).join(', ');
  const isSaid = failed.length === 1 && failed[0]!.address === peer.host;
  return new HttpDialError({
    phase: peer.isProxy ? 'proxy' : 'tcp',
    code,
    target: peer.name,
    message: `connecting to ${nameOf(peer)} failed: ${code}${isSaid ? '' : ` (${all})`}`,
  });
}
