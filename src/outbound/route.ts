/** How a request travels: which upstream with which credentials, tunnelled or not, and who may share its connection. */
import { randomInt } from 'node:crypto';
import type { Target, Upstream } from '../model/job.ts';
import type { AttemptOptions, OutboundRequest } from '../pipeline/ports.ts';

export interface Route {
  readonly upstream: Upstream;
  /** The upstream's own name, user and password with `{session}` filled in (A-13). */
  readonly host: string;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly target: Target;
  readonly servername: string | undefined;
  readonly insecureTarget: boolean;
  /** Plain http through an http(s) upstream: absolute form instead of a tunnel. Never a WebSocket: proxies drop `Upgrade`. */
  readonly forwarded: boolean;
  /** `Basic ...` for an http(s) upstream. */
  readonly authorization: string | undefined;
  /** Connections with the same key may serve each other's requests; `undefined` = a fresh one each time. */
  readonly key: string | undefined;
}

const PLACEHOLDER = '{session}';

interface Login {
  readonly host: string;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly authorization: string | undefined;
}

const loginOf = (upstream: Upstream, host: string, username?: string, password?: string): Login => ({
  host,
  username,
  password,
  authorization:
    username !== undefined && (upstream.kind === 'http' || upstream.kind === 'https')
      ? `Basic ${Buffer.from(`${username}:${password ?? ''}`).toString('base64')}`
      : undefined,
});

const hasPlaceholder = ({ host, username, password }: Upstream): boolean =>
  [host, username, password].some((part) => part?.includes(PLACEHOLDER));

/** Outside sessions a placeholder gets a number nobody else has: some gateways choose the exit by it. */
const fillIn = (upstream: Upstream, session: string | undefined): Login => {
  const id = session ?? String(randomInt(1_000_000, 281_474_976_710_655));
  const fill = (part: string | undefined): string | undefined => part?.replaceAll(PLACEHOLDER, id);
  return loginOf(upstream, fill(upstream.host) ?? '', fill(upstream.username), fill(upstream.password));
};

const logins = new WeakMap<Upstream, Login | 'perSession'>();

const loginFor = (upstream: Upstream, session: string | undefined): Login => {
  let login = logins.get(upstream);
  if (login === undefined) {
    login = hasPlaceholder(upstream)
      ? 'perSession'
      : loginOf(upstream, upstream.host, upstream.username, upstream.password);
    logins.set(upstream, login);
  }
  return login === 'perSession' ? fillIn(upstream, session) : login;
};

/** C05: never shared beyond upstream, owner and everything TLS depends on. */
const keyOf = ({ target, servername, insecureTarget }: OutboundRequest, { upstream, owner }: AttemptOptions): string =>
  `${upstream.id}\n${owner}\n${target.scheme} ${target.host} ${target.port} ${servername ?? ''} ${insecureTarget ? 1 : 0}`;

export const routeOf = (request: OutboundRequest, options: AttemptOptions): Route => {
  const { upstream, session } = options;
  const { host, username, password, authorization } = loginFor(upstream, session);
  const proxied = upstream.kind === 'http' || upstream.kind === 'https';
  return {
    upstream,
    host,
    username,
    password,
    target: request.target,
    servername: request.servername,
    insecureTarget: request.insecureTarget,
    forwarded: proxied && request.target.scheme === 'http' && !request.webSocket,
    authorization,
    key: request.webSocket || (upstream.rotating && session === undefined) ? undefined : keyOf(request, options),
  };
};

/** `host:port` as a CONNECT writes it: IPv6 in brackets (B05). */
export const hostAndPort = (host: string, port: number): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
