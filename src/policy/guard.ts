/** What may be reached at all: ports, forbidden websites, private addresses and this proxy's own listeners (section 19.7). */
import { isIP } from 'node:net';
import type { Target } from '../model/job.ts';
import { isPrivateAddress, plainAddress, readAllowance } from './addresses.ts';

export interface GuardRules {
  /** Inclusive ranges. */
  readonly ports: readonly (readonly [number, number])[];
  /** CIDRs, addresses, host names and `*.suffix`es. */
  readonly allowPrivate: readonly string[];
  /** The operator's deny list. */
  readonly forbidden: (host: string) => boolean;
  /** This proxy's listeners, admin port and store, by name or address. */
  readonly own: (host: string, port: number) => boolean;
}

export interface Guard {
  /** Before pacing: own places, deny list, port, literals in every spelling, `localhost` and `*.internal` (D04). */
  judge(target: Target): 'ok' | 'forbidden';
  /** When dialling: whether this resolved address of `host` may be connected to; it has to be the one dialled (D03). */
  judgeAddress(ip: string, host: string, port: number): boolean;
}

/** Addresses whose ranges are remembered. */
const VERDICTS = 4096;

const LOOPBACKS = ['127.0.0.1', '::1'] as const;

const isUnder = (host: string, name: string): boolean =>
  host.endsWith(name) && (host.length === name.length || host.charCodeAt(host.length - name.length - 1) === 0x2e);

/** Only what ends in a digit or holds a colon: a look at that spares names a regular expression. */
const mayBeAddress = (host: string): boolean => {
  const last = host.charCodeAt(host.length - 1);
  return (last >= 0x30 && last <= 0x39) || host.includes(':');
};

/** Throws `RangeError` for an impossible range in `allowPrivate`. */
export const makeGuard = (rules: GuardRules): Guard => {
  const allowance = readAllowance(rules.allowPrivate);

  const portOpen = (port: number): boolean => rules.ports.some(([from, to]) => port >= from && port <= to);

  const verdicts = new Map<string, boolean>();

  /** Public or in an allowed range; remembered, for matching ranges takes microseconds. */
  const inOpenRange = (ip: string): boolean => {
    const known = verdicts.get(ip);
    if (known !== undefined) return known;
    const open = !isPrivateAddress(ip) || allowance.address(ip);
    if (verdicts.size >= VERDICTS) verdicts.clear();
    verdicts.set(ip, open);
    return open;
  };

  const addressOpen = (ip: string, host: string, port: number): boolean =>
    !rules.own(plainAddress(ip), port) && (inOpenRange(ip) || allowance.name(host));

  const loopbackOpen = LOOPBACKS.some((ip) => allowance.address(ip));

  /** A name under `.localhost` is this machine, whoever resolves it. */
  const localOpen = (host: string, port: number): boolean =>
    !LOOPBACKS.some((ip) => rules.own(ip, port)) && (loopbackOpen || allowance.name(host));

  const hostOpen = (host: string, port: number): boolean => {
    if (mayBeAddress(host) && isIP(host) !== 0) return addressOpen(host, host, port);
    if (isUnder(host, 'localhost')) return localOpen(host, port);
    return !isUnder(host, 'internal') || allowance.name(host);
  };

  return {
    judge({ host, port }) {
      if (rules.own(host, port) || rules.forbidden(host) || !portOpen(port)) return 'forbidden';
      return hostOpen(host, port) ? 'ok' : 'forbidden';
    },
    judgeAddress: addressOpen,
  };
};
