/** The SOCKS5 handshake (RFC 1928, 1929): greeting and login are the upstream's affair, the request is the target's. */
import { isIP, isIPv6, type Socket } from 'node:net';
import { type Condition, Fault } from '../model/errors.ts';
import { targetFault, upstreamFault } from './faults.ts';
import type { Lifeline } from './lifeline.ts';
import type { Route } from './route.ts';
import { converse, type Reader } from './steps.ts';

const VERSION = 5;
const NO_LOGIN = 0;
const PASSWORD = 2;
const IPV4 = 1;
const NAME = 3;
const IPV6 = 4;

/** Reply codes with a meaning of their own; all others are `ehostunreach` (A-04). */
const REFUSALS: Readonly<Record<number, Condition>> = { 5: 'econnrefused' };

const REPLY_WORDS = [
  'granted',
  'general failure',
  'not allowed',
  'network unreachable',
  'host unreachable',
  'connection refused',
  'TTL expired',
  'command not supported',
  'address type not supported',
];

/** A two-byte reply: version and a value. */
const pair =
  (version: number): Reader<number> =>
  (bytes) => {
    if (bytes[0] !== version) throw upstreamFault('SOCKS greeting', 'not a SOCKS5 server');
    return bytes.length < 2 ? undefined : { value: bytes[1] as number, used: 2 };
  };

const boundLength = (bytes: Buffer): number => {
  if (bytes[3] === IPV4) return 4;
  if (bytes[3] === IPV6) return 16;
  if (bytes[3] === NAME) return 1 + (bytes[4] ?? 0);
  throw new Fault('ehostunreach', { reason: 'SOCKS request: unreadable reply' });
};

/** The reply to a request; the address in it is read over. A refusal may come without one. */
const readReply: Reader<number> = (bytes) => {
  if (bytes[0] !== VERSION) throw new Fault('ehostunreach', { reason: 'SOCKS request: unreadable reply' });
  if (bytes.length < 2) return undefined;
  const code = bytes[1] as number;
  if (code !== 0) return { value: code, used: bytes.length };
  if (bytes.length < 5) return undefined;
  const used = 4 + boundLength(bytes) + 2;
  return bytes.length < used ? undefined : { value: code, used };
};

const login = ({ username, password }: Route): Buffer => {
  const name = Buffer.from(username ?? '').subarray(0, 255);
  const secret = Buffer.from(password ?? '').subarray(0, 255);
  return Buffer.concat([Buffer.from([1, name.length]), name, Buffer.from([secret.length]), secret]);
};

/** The 16 bytes of an IPv6 literal, by way of the URL parser's canonical form. */
const ipv6Bytes = (host: string): Buffer => {
  const canonical = new URL(`http://[${host}]`).hostname.slice(1, -1);
  const [left = '', right] = canonical.split('::');
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'));
  const head = groups(left);
  const tail = groups(right ?? '');
  const all = [...head, ...Array<string>(8 - head.length - tail.length).fill('0'), ...tail];
  const bytes = Buffer.alloc(16);
  for (const [i, group] of all.entries()) bytes.writeUInt16BE(Number.parseInt(group, 16), i * 2);
  return bytes;
};

const addressOf = (host: string): Buffer => {
  if (isIPv6(host)) return Buffer.concat([Buffer.from([IPV6]), ipv6Bytes(host)]);
  if (isIP(host) === 4) return Buffer.from([IPV4, ...host.split('.').map(Number)]);
  const name = Buffer.from(host, 'latin1');
  if (name.length > 255) throw new Fault('nxdomain', { reason: 'SOCKS request: name too long' });
  return Buffer.concat([Buffer.from([NAME, name.length]), name]);
};

/** Greeting and login; whatever goes wrong here is the upstream's failure. */
export const greetSocks = async (line: Lifeline, socket: Socket, route: Route): Promise<void> => {
  const explain = (error: unknown): Fault => upstreamFault('SOCKS greeting', error);
  const withLogin = route.username !== undefined;
  const methods = withLogin ? [VERSION, 2, NO_LOGIN, PASSWORD] : [VERSION, 1, NO_LOGIN];
  const method = await converse(line, socket, Buffer.from(methods), pair(VERSION), explain);
  if (method === NO_LOGIN) return;
  if (method !== PASSWORD || !withLogin) throw upstreamFault('SOCKS login', 'no acceptable method');
  const verdict = await converse(line, socket, login(route), pair(1), explain);
  if (verdict !== 0) throw upstreamFault('SOCKS login', 'credentials refused');
};

/** Asks for a connection to the target; its name goes unresolved. */
export const openSocks = async (line: Lifeline, socket: Socket, { target }: Route): Promise<void> => {
  const port = Buffer.alloc(2);
  port.writeUInt16BE(target.port);
  const request = Buffer.concat([Buffer.from([VERSION, 1, 0]), addressOf(target.host), port]);
  const code = await converse(line, socket, request, readReply, (error) => targetFault('SOCKS request', error));
  if (code === 0) return;
  const reason = `SOCKS request: ${REPLY_WORDS[code] ?? `code ${code}`}`;
  throw new Fault(REFUSALS[code] ?? 'ehostunreach', { reason });
};
