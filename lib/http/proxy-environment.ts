import { BlockList, isIP } from 'node:net';
import { getProxyForUrl } from 'proxy-from-env';

/** A proxy that the environment names, and by which variable. */
interface Found {
  readonly url: string;
  readonly variable: string;
}

/**
 * The proxy to a base URL by HTTP_PROXY or HTTPS_PROXY, ALL_PROXY and NO_PROXY; small letters go before capitals.
 *
 * Names in NO_PROXY are proxy-from-env's matter: `example.com` is that host alone, `.example.com` and `*.example.com` are those
 * below it, `example.com:8080` is one port, `*` everything. Addresses are ours, see {@link isExempt}.
 *
 * @internal
 */
export function proxyOfEnvironment(base: URL): Found | undefined {
  const protocol = base.protocol.slice(0, -1);
  const port = base.port === '' ? { http: '80', https: '443' }[protocol]! : base.port;
  const host = plain(base.hostname);
  const noProxy = variable('no_proxy')?.value ?? '';
  if (isExempt(host, Number(port), noProxy.toLowerCase())) return undefined;
  const authority = `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
  if (getProxyForUrl({ protocol: base.protocol, host: authority, port }) === '') return undefined;
  // Read again and not taken from the answer, in which a proxy without a scheme has been given the scheme of the base URL.
  const proxy = variable(`${protocol}_proxy`) ?? variable('all_proxy');
  return proxy && { url: proxy.value, variable: proxy.name };
}

function variable(name: string): { name: string; value: string } | undefined {
  const found = [name, name.toUpperCase()].find((spelling) => process.env[spelling]);
  return found === undefined ? undefined : { name: found, value: process.env[found]! };
}

/** All that means this machine: whoever exempts one spelling of it has exempted all (CVE-2025-62718). */
const THIS_MACHINE = new BlockList();
THIS_MACHINE.addSubnet('127.0.0.0', 8, 'ipv4');
THIS_MACHINE.addAddress('0.0.0.0', 'ipv4');
THIS_MACHINE.addAddress('::1', 'ipv6');
THIS_MACHINE.addAddress('::', 'ipv6');

/**
 * Whether NO_PROXY exempts a host for a reason that proxy-from-env does not see: an address in another spelling
 * (`::1`, IPv4 in IPv6), a subnet (`10.0.0.0/8`), another name of this machine, a dot at the end.
 */
function isExempt(host: string, port: number, noProxy: string): boolean {
  return noProxy.split(/[\s,]+/).some((entry) => {
    const [, subnet, bits] = /^\[?([\d.:a-f]+)\]?\/(\d{1,3})$/.exec(entry) ?? [];
    if (subnet !== undefined) return isWithin(host, subnet, Number(bits));
    // Only what is no bare IPv6 address ends in a port.
    const [, name = '', itsPort] = isIP(entry) === 0 ? (/^(.*?)(?::(\d+))?$/.exec(entry) ?? []) : ['', entry];
    if (name === '' || (itsPort !== undefined && Number(itsPort) !== port)) return false;
    const exempted = plain(name);
    return exempted === host || (isThisMachine(exempted) && isThisMachine(host));
  });
}

function isWithin(host: string, subnet: string, bits: number): boolean {
  const version = isIP(subnet);
  if (version === 0 || isIP(host) === 0 || bits > (version === 4 ? 32 : 128)) return false;
  const list = new BlockList();
  list.addSubnet(subnet, bits, version === 4 ? 'ipv4' : 'ipv6');
  return list.check(host, isIP(host) === 4 ? 'ipv4' : 'ipv6');
}

function isThisMachine(host: string): boolean {
  if (isIP(host) === 0) return host === 'localhost' || host.endsWith('.localhost');
  return THIS_MACHINE.check(host, isIP(host) === 4 ? 'ipv4' : 'ipv6');
}

/** One spelling for all: no brackets, no dot at the end, `127.1` in full, IPv4 out of IPv6 (CVE-2026-44492). */
function plain(host: string): string {
  const bare = host.replace(/^\[|\]$/g, '').replace(/\.$/, '');
  const written = isIP(bare) === 6 ? `http://[${bare}]` : `http://${bare}`;
  const canonical = URL.canParse(written) ? new URL(written).hostname.replace(/^\[|\]$/g, '') : bare;
  const [, high, low] = /^::ffff:([\da-f]{1,4}):([\da-f]{1,4})$/.exec(canonical) ?? [];
  if (high === undefined || low === undefined) return canonical;
  const [upper, lower] = [Number.parseInt(high, 16), Number.parseInt(low, 16)];
  return [upper >> 8, upper & 255, lower >> 8, lower & 255].join('.');
}
