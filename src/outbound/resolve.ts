/** Names to addresses: one lookup a name at a time, kept for a few seconds. */
import { lookup as systemLookup } from 'node:dns';
import { isIP } from 'node:net';
import { LRUCache } from 'lru-cache';

export interface Address {
  readonly address: string;
  readonly family: 4 | 6;
}

type Answer = (error: Error | undefined, addresses: readonly Address[]) => void;

/** The system's resolver; replaced in tests. */
export type Lookup = (host: string, answer: Answer) => void;

export interface Resolver {
  /** Calls back once, for a literal or a known name before it returns. Order: as the system prefers, IPv4 first. */
  resolve(host: string, answer: Answer): void;
}

const KEPT_MS = 10_000;
const MISSING_KEPT_MS = 1_000;
const MAX_NAMES = 10_000;
const MAX_ADDRESSES = 8;

const LOOPBACK: readonly Address[] = [
  { address: '127.0.0.1', family: 4 },
  { address: '::1', family: 6 },
];

interface Known {
  readonly error: Error | undefined;
  readonly addresses: readonly Address[];
}

const ask: Lookup = (host, answer) => {
  systemLookup(host, { all: true, verbatim: false }, (error, found) => {
    if (error) return answer(error, []);
    const addresses = found.slice(0, MAX_ADDRESSES);
    answer(
      undefined,
      addresses.map(({ address, family }) => ({ address, family: family === 6 ? 6 : 4 })),
    );
  });
};

const notFound = (): Error => Object.assign(new Error('name not found'), { code: 'ENOTFOUND' });

/** `*.localhost` is loopback by definition (RFC 6761) and is not asked for. */
const isLocalhost = (host: string): boolean => host === 'localhost' || host.endsWith('.localhost');

export const makeResolver = (lookup: Lookup = ask): Resolver => {
  const known = new LRUCache<string, Known>({ max: MAX_NAMES, ttl: KEPT_MS });
  const asking = new Map<string, Answer[]>();

  const settle = (host: string, error: Error | undefined, addresses: readonly Address[]): void => {
    const waiting = asking.get(host) ?? [];
    asking.delete(host);
    const result: Known = { error: error ?? (addresses.length === 0 ? notFound() : undefined), addresses };
    known.set(host, result, { ttl: result.error ? MISSING_KEPT_MS : KEPT_MS });
    for (const answer of waiting) answer(result.error, result.addresses);
  };

  return {
    resolve(host, answer) {
      const family = isIP(host);
      if (family !== 0) return answer(undefined, [{ address: host, family: family === 6 ? 6 : 4 }]);
      if (isLocalhost(host)) return answer(undefined, LOOPBACK);
      const hit = known.get(host);
      if (hit) return answer(hit.error, hit.addresses);
      const waiting = asking.get(host);
      if (waiting) {
        waiting.push(answer);
        return;
      }
      asking.set(host, [answer]);
      lookup(host, (error, addresses) => settle(host, error, addresses));
    },
  };
};
