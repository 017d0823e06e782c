/** Host names, address literals, patterns and networks as the configuration writes them. */
import { isIP } from 'node:net';
import { normaliseHost } from '../policy/host.ts';
import { fine, type Parsed, wrong } from './parsed.ts';

const NAME = /^(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*$/;

/** One spelling an address: lower case, IPv6 compressed. */
const canonicalAddress = (text: string): string =>
  (text.includes(':') ? normaliseHost(`[${text}]`) : undefined) ?? text;

/** A host name or address in the one form targets have; the shorthand forms of IPv4 are refused as likely typing errors. */
export const readHost = (text: string): string | undefined => {
  const bare = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text;
  if (isIP(bare) !== 0) return bare.includes('%') ? undefined : canonicalAddress(bare);
  if (bare !== text || text.includes('%')) return undefined;
  const name = normaliseHost(text);
  return name !== undefined && NAME.test(name) && isIP(name) === 0 ? name : undefined;
};

export const parseHost = (value: unknown): Parsed<string> => {
  const host = typeof value === 'string' ? readHost(value) : undefined;
  return host === undefined ? wrong('expected a host name or an address') : fine(host);
};

/** `shop.example`, an address, or `*.shop.example`. */
export const parseHostPattern = (value: unknown): Parsed<string> => {
  if (typeof value !== 'string' || !value.startsWith('*.')) return parseHost(value);
  const suffix = readHost(value.slice(2));
  return suffix === undefined || isIP(suffix) !== 0
    ? wrong('expected a host name after *. such as *.shop.example')
    : fine(`*.${suffix}`);
};

const readNetwork = (text: string): string | undefined => {
  const slash = text.lastIndexOf('/');
  const address = slash < 0 ? text : text.slice(0, slash);
  const family = address.includes('%') ? 0 : isIP(address);
  if (family === 0) return undefined;
  const widest = family === 4 ? 32 : 128;
  const prefix = slash < 0 ? String(widest) : text.slice(slash + 1);
  if (!/^\d{1,3}$/.test(prefix) || Number(prefix) > widest) return undefined;
  return `${canonicalAddress(address)}/${Number(prefix)}`;
};

/** A network in CIDR form (a lone address becomes the network of itself), or a host pattern. */
export const parseNetworkOrHost = (value: unknown): Parsed<string> => {
  if (typeof value !== 'string') return wrong('expected a network such as 10.0.0.0/8 or a host name');
  const network = readNetwork(value);
  if (network !== undefined) return fine(network);
  const pattern = parseHostPattern(value);
  return pattern.ok ? pattern : wrong('expected a network such as 10.0.0.0/8 or a host name');
};
