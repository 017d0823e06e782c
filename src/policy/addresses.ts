/** Which addresses are nobody's website: judged by range, minus what the operator allowed (D01, section 19.7). */
import { BlockList, isIP } from 'node:net';
import { makeNameTable } from './websites.ts';

/** Special-purpose IPv4 ranges; Azure's host address is a metadata service outside of them. */
const SPECIAL_V4: readonly (readonly [string, number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['168.63.129.16', 32],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
];

/** Within 2000::/3, the only global unicast block; all outside of it is refused, IPv4-mapped and NAT64 included. */
const SPECIAL_V6: readonly (readonly [string, number])[] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
];

const blockList = (ranges: readonly (readonly [string, number])[], family: 'ipv4' | 'ipv6'): BlockList => {
  const list = new BlockList();
  for (const [network, bits] of ranges) list.addSubnet(network, bits, family);
  return list;
};

const specialV4 = blockList(SPECIAL_V4, 'ipv4');
const specialV6 = blockList(SPECIAL_V6, 'ipv6');
const globalV6 = blockList([['2000::', 3]], 'ipv6');

/** Whether an address literal is outside the public internet. Anything that is no address counts as outside. */
export const isPrivateAddress = (ip: string): boolean => {
  const family = isIP(ip);
  if (family === 4) return specialV4.check(ip, 'ipv4');
  return family !== 6 || !globalV6.check(ip, 'ipv6') || specialV6.check(ip, 'ipv6');
};

const MAPPED = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/;

/** One spelling an address: IPv4-mapped IPv6 becomes IPv4, zone ids go, and "any" is this machine, as it is when dialled. */
export const plainAddress = (ip: string): string => {
  if (!ip.includes(':')) return ip === '0.0.0.0' ? '127.0.0.1' : ip;
  const bare = ip.split('%', 1)[0] as string;
  const url = `http://[${bare}]/`;
  const short = URL.canParse(url) ? new URL(url).hostname.slice(1, -1) : bare;
  if (short === '::') return '::1';
  const mapped = MAPPED.exec(short);
  if (!mapped) return short;
  const high = Number.parseInt(mapped[1] as string, 16);
  const low = Number.parseInt(mapped[2] as string, 16);
  return plainAddress(`${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`);
};

/** What `targets.allowPrivate` lets through. */
export interface PrivateAllowance {
  /** An address in one of its ranges. */
  address(ip: string): boolean;
  /** A host name it lists, or one under a `*.suffix`: may be private whatever its address. */
  name(host: string): boolean;
}

const addRange = (list: BlockList, text: string): void => {
  const slash = text.indexOf('/');
  const network = slash < 0 ? text : text.slice(0, slash);
  const [family, widest] = isIP(network) === 4 ? (['ipv4', 32] as const) : (['ipv6', 128] as const);
  const bits = slash < 0 ? String(widest) : text.slice(slash + 1);
  if (!/^\d{1,3}$/.test(bits) || Number(bits) > widest) throw new RangeError(`not an address range: ${text}`);
  list.addSubnet(network, Number(bits), family);
};

/** Reads CIDRs, addresses, host names and `*.suffix`es. Throws `RangeError` naming an impossible range. */
export const readAllowance = (entries: readonly string[]): PrivateAllowance => {
  const ranges = new BlockList();
  const names: (readonly [string, true])[] = [];
  for (const entry of entries) {
    if (isIP(entry.split('/', 1)[0] as string)) addRange(ranges, entry);
    else names.push([entry, true]);
  }
  const nameTable = makeNameTable(names);
  return {
    address(ip) {
      const plain = plainAddress(ip);
      const family = isIP(plain);
      return family !== 0 && ranges.check(plain, family === 4 ? 'ipv4' : 'ipv6');
    },
    name: (host) => nameTable(host) !== undefined,
  };
};
