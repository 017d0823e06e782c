/** From a request as Node read it to what is to be done with it: a job for the exchange or a call of an endpoint. */
import { type ControlLimits, type Controls, readControls } from '../model/controls.ts';
import { type Dialect, Refusal } from '../model/errors.ts';
import { type HeaderList, lastValue } from '../model/headers.ts';
import type { Account, Job, NameSuffix, Target, Tunnel } from '../model/job.ts';
import type { Authenticated } from '../policy/authenticate.ts';
import { type Forwarded, forwardedHeaders } from '../policy/forward.ts';
import { type Guard, makeTarget, parseAbsolute, parseAuthority, withHttps } from '../policy/route.ts';
import type { Link } from './link.ts';

/** What the intake reads of the current configuration. */
export interface Entrance {
  authenticate(value: string | undefined): Authenticated | undefined;
  readonly guard: Guard;
  readonly controlLimits: ControlLimits;
  /** Names and addresses of this proxy itself (T-14). */
  own(host: string, port: number): boolean;
  readonly replayBytes: number;
  readonly operatorContact: string;
  /** Status of a failed authentication on direct endpoints (U-08). */
  readonly authStatus: 407 | 401;
  /** Spelling of a 407: who has no account has no dialect, but where all accounts share one it is theirs (E-06). */
  readonly strangersDialect: Dialect;
}

/** Where a request line points. */
export type Place =
  | { readonly kind: 'endpoint'; readonly url: string }
  | { readonly kind: 'target'; readonly target: Target; readonly path: string; readonly absolute: boolean }
  | { readonly kind: 'nowhere'; readonly reason: string };

const nowhere = (reason: string): Place => ({ kind: 'nowhere', reason });

/** T-02, T-03, T-14: absolute form, origin form in a tunnel, or one of our own endpoints. */
export const locate = (url: string, link: Link, own: Entrance['own']): Place => {
  const { tunnel } = link;
  if (url.charCodeAt(0) === 0x2f || url === '*') {
    if (!tunnel || own(tunnel.host, tunnel.port)) return { kind: 'endpoint', url };
    return { kind: 'target', target: tunnelTarget(tunnel, link.secure), path: url, absolute: false };
  }
  const absolute = parseAbsolute(url);
  if (absolute === undefined) return nowhere('unreadable URL');
  if (absolute === 'bad_scheme') return nowhere('scheme other than http and https');
  if (own(absolute.host, absolute.port)) return { kind: 'endpoint', url: absolute.path };
  const target = makeTarget(absolute.scheme, absolute.host, absolute.port);
  if (tunnel && !isSamePlace(target, tunnelTarget(tunnel, link.secure))) return nowhere('URL of another tunnel');
  return { kind: 'target', target, path: absolute.path, absolute: true };
};

/** One target a tunnel: every request inside goes to the same place. */
const tunnelTargets = new WeakMap<Tunnel, Target>();

const tunnelTarget = (tunnel: Tunnel, secure: boolean): Target => {
  const known = tunnelTargets.get(tunnel);
  if (known) return known;
  const target = makeTarget(secure ? 'https' : 'http', tunnel.host, tunnel.port);
  tunnelTargets.set(tunnel, target);
  return target;
};

/** Scheme and all: `http://` in a tunnel with TLS would leave the protection its client sees. */
const isSamePlace = (one: Target, other: Target): boolean =>
  one.host === other.host && one.port === other.port && one.scheme === other.scheme;

const MAX_FIELDS = 2000;

/** Refuses what was read well but a target might read otherwise (robustness A01, G04). */
export const checkFraming = ({ rawHeaders }: { rawHeaders: HeaderList }, { malformed }: Forwarded): void => {
  if (malformed !== undefined) throw new Refusal('invalid_request', { reason: malformed });
  if (rawHeaders.length > 2 * MAX_FIELDS) throw new Refusal('headers_too_large', { reason: 'too many fields' });
};

/** Who asks: inherited in a tunnel (U-07), by `Proxy-Authorization` outside (U-01), both kinds on endpoints (U-02). */
export const identify = (headers: HeaderList, link: Link, place: Place, entrance: Entrance): Authenticated => {
  if (link.tunnel) return link.tunnel;
  const proxy = lastValue(headers, 'proxy-authorization');
  const known =
    place.kind === 'endpoint'
      ? (entrance.authenticate(lastValue(headers, 'authorization')) ?? entrance.authenticate(proxy))
      : entrance.authenticate(proxy);
  if (known) return known;
  const guess = proxy !== undefined || (place.kind === 'endpoint' && lastValue(headers, 'authorization') !== undefined);
  throw new Refusal('bad_auth', { reason: guess ? WRONG_KEY : 'no key' });
};

export const WRONG_KEY = 'wrong key';

export interface Asked {
  readonly account: Account;
  readonly suffix: NameSuffix;
  readonly method: string;
  readonly target: Target;
  readonly path: string;
  /** Headers with controls, as sent: read for controls only. */
  readonly headers: HeaderList;
  /** End-to-end headers. */
  readonly forwarded: HeaderList;
  readonly framed: boolean;
  readonly webSocket: boolean;
  readonly tunnel: Tunnel | undefined;
  readonly servername: string | undefined;
}

/** Reads the controls and judges the target, in the order of H-07. Throws `Refusal` 470, 540, 523. */
export const makeJob = (asked: Asked, entrance: Entrance, id: string): Job => {
  const { account, suffix, tunnel } = asked;
  const named = suffix.sessionName !== undefined || suffix.region !== undefined;
  const controls = readControls(
    { request: asked.headers, connect: tunnel?.headers, defaults: account.defaults },
    account.plan,
    entrance.controlLimits,
    named ? { sessionName: suffix.sessionName !== undefined, region: suffix.region } : undefined,
  );
  const target = controls.useHttps ? withHttps(asked.target) : asked.target;
  if (entrance.guard.judge(target) === 'forbidden') throw new Refusal('domain_forbidden');
  const perTunnel = tunnel && sessionOfTunnel(tunnel, asked.headers, controls);
  return {
    id,
    account,
    method: asked.method,
    target,
    path: asked.path,
    headers: target === asked.target ? asked.forwarded : withHost(asked.forwarded, target.authority),
    framed: asked.framed,
    webSocket: asked.webSocket,
    controls: perTunnel === undefined ? controls : { ...controls, session: undefined },
    sessionName: perTunnel ?? suffix.sessionName,
    servername: asked.servername,
    dialect: dialectOf(account, controls),
    startedAt: performance.now(),
  };
};

/** `auto` follows the client's own name (E-06). */
const dialectOf = (account: Account, controls: Controls): Dialect => {
  if (account.dialect !== 'auto') return account.dialect;
  return controls.client?.toLowerCase().startsWith('scrapy-zyte-smartproxy/') ? 'spm' : 'crawlera';
};

let tunnelSessions = 0;
const tunnelNames = new WeakMap<Tunnel, string>();

/**
 * `X-Crawlera-Session: create` on CONNECT: one session for the whole tunnel (H-06). It is a named session with a name no
 * client can ask for, so it is made at the first request and anew when it has ended.
 */
const sessionOfTunnel = (tunnel: Tunnel, headers: HeaderList, controls: Controls): string | undefined => {
  if (controls.session !== 'create' || lastValue(headers, 'x-crawlera-session')) return undefined;
  if (lastValue(tunnel.headers, 'x-crawlera-session')?.trim().toLowerCase() !== 'create') return undefined;
  const known = tunnelNames.get(tunnel);
  if (known !== undefined) return known;
  const name = `tunnel:${process.pid}:${Date.now().toString(36)}:${++tunnelSessions}`;
  tunnelNames.set(tunnel, name);
  return name;
};

const withHost = (headers: HeaderList, authority: string): HeaderList => {
  const copy = [...headers];
  for (let i = 0; i < copy.length; i += 2) {
    if ((copy[i] as string).toLowerCase() === 'host') copy[i + 1] = authority;
  }
  return copy;
};

/** End-to-end headers of a request for a place: an absolute URL outranks `Host` (A11), else the client's own stays as it is. */
export const endToEnd = (headers: HeaderList, place: Place): Forwarded => {
  const authority = place.kind === 'target' ? place.target.authority : '';
  const forwarded = forwardedHeaders(headers, authority);
  const { host } = forwarded;
  if (place.kind !== 'target' || place.absolute || host === undefined || host === authority || !parseAuthority(host, 0))
    return forwarded;
  return { ...forwarded, headers: withHost(forwarded.headers, host) as string[] };
};
