/** The words of this proxy: what an account, an upstream, a target and one client's request are. No behaviour. */
import type { Controls } from './controls.ts';
import type { Dialect } from './errors.ts';
import type { HeaderList } from './headers.ts';

export type Plan = 'c10' | 'c50' | 'c100' | 'c200' | 'enterprise';

/** One API key's holder, with plan and overrides already resolved to numbers. */
export interface Account {
  readonly id: string;
  readonly plan: Plan;
  readonly dialect: Dialect | 'auto';
  /** `[lower-case name, value]` pairs of `accounts[].defaults`, read after request and CONNECT (H-06). */
  readonly defaults: HeaderList;
  /** Requests in flight, held ones included; `Infinity` = unlimited (L-02). */
  readonly maxConnections: number;
  readonly maxSessions: number;
}

export type UpstreamKind = 'direct' | 'http' | 'https' | 'socks5';

/** One exit ("slave" on the wire). Its identity is its whole URL with credentials and region. */
export interface Upstream {
  /** Stable, secret-free identity: a hash of the whole URL and region. The same on every node. */
  readonly id: string;
  readonly kind: UpstreamKind;
  /** Name or address of the upstream proxy; empty for a direct exit. IPv6 without brackets. */
  readonly host: string;
  /** 0 for a direct exit. */
  readonly port: number;
  readonly username: string | undefined;
  readonly password: string | undefined;
  /** Source address for a direct exit with `?address=`. */
  readonly localAddress: string | undefined;
  /** Lower-case ISO 3166 code. */
  readonly region: string | undefined;
  readonly weight: number;
  readonly rotating: boolean;
  /** `ip:port` as shown in `X-Crawlera-Slave`; `undefined` for a direct exit, which shows its local address. */
  readonly label: string | undefined;
}

/** Where a request goes. */
export interface Target {
  readonly scheme: 'http' | 'https';
  /** Lower-case ASCII name or address literal, no brackets, no trailing dot. */
  readonly host: string;
  readonly port: number;
  /** Key of pacing, bans and overrides: the host, http and https together. */
  readonly website: string;
  /** `host` or `host:port` as a `Host` header writes it (IPv6 in brackets, default port left out). */
  readonly authority: string;
}

/** What a CONNECT leaves behind for the requests inside its tunnel. */
export interface Tunnel {
  readonly account: Account;
  /** Host and port of the CONNECT; the scheme follows from the first byte (T-10). */
  readonly host: string;
  readonly port: number;
  /** Control headers of the CONNECT: defaults for the requests inside (H-06). */
  readonly headers: HeaderList;
  /** User-name suffixes (U-11). */
  readonly suffix: NameSuffix;
}

/** `<key>-session-<name>-region-<cc>` taken apart (U-11). */
export interface NameSuffix {
  readonly sessionName: string | undefined;
  readonly region: string | undefined;
}

/** One request of one client, read and checked, before anything is sent anywhere. */
export interface Job {
  /** Random, unique per request; in the log line and in error reports. */
  readonly id: string;
  readonly account: Account;
  readonly method: string;
  readonly target: Target;
  /** Origin-form request target, bytes as the client sent them. */
  readonly path: string;
  /** End-to-end headers with `Host`; controls and hop-by-hop fields already taken out (F-01). */
  readonly headers: HeaderList;
  /** The headers hold the client's own framing line, in its place (F-04). */
  readonly framed: boolean;
  /** A body-less GET that asks for a WebSocket: its answer may be a 101 (T-18). */
  readonly webSocket: boolean;
  readonly controls: Controls;
  readonly sessionName: string | undefined;
  /** Name for TLS with the target when the client's SNI differs from the host. */
  readonly servername: string | undefined;
  readonly dialect: Dialect;
  /** `performance.now()` when the request's head had been read. */
  readonly startedAt: number;
}
