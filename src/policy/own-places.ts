/** Which names, addresses and ports are this proxy itself and its store (T-14, robustness D05). Pure. */
import { isIP } from 'node:net';

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** Names, addresses and ports as targets have them: lower case, IPv6 without brackets. */
export interface OwnSettings {
  /** Names and addresses this machine answers to, loopback aside. */
  readonly names: readonly string[];
  /** Ports of the proxy itself on them. */
  readonly proxyPorts: readonly number[];
  readonly adminPort: number;
  /** Nodes of the store, by every name and address they are known by. */
  readonly store: readonly HostPort[];
}

export interface OwnPlaces {
  /** The proxy port: answered as direct endpoint (T-14). */
  proxy(host: string, port: number): boolean;
  /** That, the admin port and the store: never reached through the proxy (robustness D05). */
  any(host: string, port: number): boolean;
}

const isLoopback = (host: string): boolean =>
  host === 'localhost' ||
  host === '::1' ||
  host === '0.0.0.0' ||
  host === '::' ||
  (host.startsWith('127.') && isIP(host) === 4);

export const makeOwnPlaces = ({ names, proxyPorts, adminPort, store }: OwnSettings): OwnPlaces => {
  const known = new Set(names.map((name) => name.toLowerCase()));
  const isHere = (host: string): boolean => isLoopback(host) || known.has(host);
  const proxy = new Set(proxyPorts);
  // A store on this machine can be reached by every name of the machine, not only by the configured one.
  const local = new Set([
    ...proxyPorts,
    adminPort,
    ...store.filter(({ host }) => isHere(host)).map(({ port }) => port),
  ]);
  return {
    proxy: (host, port) => proxy.has(port) && isHere(host),
    any: (host, port) =>
      (local.has(port) && isHere(host)) || store.some((node) => node.port === port && node.host === host),
  };
};
