/** Which names, addresses and ports are this proxy itself (T-14, robustness D05). Pure. */
import { isIP } from 'node:net';

export interface OwnPlaces {
  /** Names and addresses this machine answers to; lower case, IPv6 without brackets. */
  readonly names: ReadonlySet<string>;
  /** Ports of ours on them. */
  readonly ports: ReadonlySet<number>;
}

const isLoopback = (host: string): boolean =>
  host === 'localhost' ||
  host === '::1' ||
  host === '0.0.0.0' ||
  host === '::' ||
  (host.startsWith('127.') && isIP(host) === 4);

/** A place is ours when its port is and its host leads to this machine. */
export const isOwnPlace = ({ names, ports }: OwnPlaces, host: string, port: number): boolean =>
  ports.has(port) && (isLoopback(host) || names.has(host));
