/** The configuration once read and checked: durations in milliseconds, sizes in bytes, secrets resolved. */
import type { Account, Upstream } from './job.ts';

export interface WebsiteRule {
  /** Exact host, or `*.suffix`, lower case. */
  readonly pattern: string;
  readonly siteDelayMs: number | undefined;
  readonly slaveDelayMs: number | undefined;
  readonly insecureTarget: boolean | undefined;
  readonly forbidden: boolean | undefined;
}

/** An account with the SHA-256 of its key; the key itself is not kept (C06). */
export interface AccountEntry {
  readonly account: Account;
  /** Lower-case hex. */
  readonly keySha256: string;
}

/** A list of upstreams, local or remote, read again every so often. */
export interface UpstreamList {
  readonly location: string;
  readonly everyMs: number;
}

export interface Settings {
  readonly listen: {
    readonly host: string;
    readonly port: number;
    readonly tlsPort: number | undefined;
    readonly http2: boolean;
    readonly names: readonly string[];
  };
  readonly admin: { readonly host: string; readonly port: number; readonly key: string | undefined };
  readonly certificates: string;
  readonly authStatus: 407 | 401;
  readonly data: string;
  /** `memory` or a Redis URL. */
  readonly store: string;
  readonly workers: number;
  readonly accounts: readonly AccountEntry[];
  readonly upstreams: readonly Upstream[];
  readonly upstreamLists: readonly UpstreamList[];
  readonly pacing: {
    readonly siteDelayMs: number;
    readonly slaveDelayMs: number;
    readonly softLimitMs: number;
    readonly maxHoldMs: number;
    readonly hardLimitMs: number;
  };
  readonly sessions: { readonly idleMs: number };
  readonly bans: { readonly rules: string | undefined; readonly durationMs: number; readonly upstreamDownMs: number };
  readonly cookies: { readonly idleMs: number };
  readonly userAgents: string | undefined;
  readonly websites: readonly WebsiteRule[];
  readonly targets: {
    /** CIDRs and host names (`*.suffix` too) that may be private. */
    readonly allowPrivate: readonly string[];
    /** Inclusive ranges. */
    readonly ports: readonly (readonly [number, number])[];
    /** PEM file with further roots. */
    readonly extraRoots: string | undefined;
  };
  readonly limits: {
    readonly headersBytes: number;
    readonly replayBytes: number;
    /** 0 = unlimited. */
    readonly responseBytes: number;
    readonly outstanding: number;
    readonly retries: number;
  };
  readonly timeouts: {
    readonly connectMs: number;
    readonly responseMs: number;
    readonly responseMinMs: number;
    readonly responseMaxMs: number;
    readonly drainMs: number;
  };
  readonly storeLoss: 'refuse' | 'alone';
  readonly operatorContact: string;
  readonly log: { readonly level: string };
}
