/** Upstream URLs: from text to an `Upstream` with a secret-free identity. */
import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import type { Upstream, UpstreamKind } from '../model/job.ts';
import { readHost } from './hosts.ts';
import { fine, type Parsed, wrong } from './parsed.ts';

/** What an operator says about an upstream besides its URL. */
export interface UpstreamTraits {
  readonly region?: string | undefined;
  readonly weight?: number | undefined;
  readonly rotating?: boolean | undefined;
}

/** The parts of an upstream URL, credentials decoded. */
export type Endpoint = Pick<Upstream, 'kind' | 'host' | 'port' | 'username' | 'password' | 'localAddress' | 'label'>;

const SCHEMES: Readonly<Record<string, { readonly kind: UpstreamKind; readonly port: number }>> = {
  http: { kind: 'http', port: 80 },
  https: { kind: 'https', port: 443 },
  socks5: { kind: 'socks5', port: 1080 },
  socks5h: { kind: 'socks5', port: 1080 },
};

/** The placeholder a rotating gateway's URL may carry. */
export const SESSION_PLACEHOLDER = '{session}';

const URL_PARTS = /^([a-z0-9]{1,10}):\/\/(?:(.*)@)?(\[[^\]@]*\]|[^[\]:@/?#\\]+)(?::(\d{1,5}))?\/?$/is;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const CONTROL = /[\u0000-\u001f\u007f]/;

export const hasControlCharacter = (text: string): boolean => CONTROL.test(text);

const EXPECTED = 'expected http://, https:// or socks5:// with [user:password@]host[:port], or direct:[?address=IP]';

/** Decoded exactly once; `undefined` for a percent sign that begins no UTF-8 escape. */
const decoded = (text: string | undefined): Parsed<string | undefined> => {
  if (text === undefined) return fine(undefined);
  try {
    const plain = decodeURIComponent(text);
    return hasControlCharacter(plain) ? wrong('control characters in the credentials') : fine(plain);
  } catch {
    return wrong('a % in the credentials must be written %25');
  }
};

const credentials = (info: string | undefined): Parsed<Pick<Upstream, 'username' | 'password'>> => {
  if (!info) return fine({ username: undefined, password: undefined });
  const colon = info.indexOf(':');
  const username = decoded(colon < 0 ? info : info.slice(0, colon));
  if (!username.ok) return username;
  const password = decoded(colon < 0 ? undefined : info.slice(colon + 1));
  return password.ok ? fine({ username: username.value, password: password.value }) : password;
};

/** The host to dial; a placeholder in it is judged as if it were a session's id. */
const readUpstreamHost = (text: string): string | undefined => {
  if (!text.includes(SESSION_PLACEHOLDER)) return readHost(text);
  const filled = readHost(text.replaceAll(SESSION_PLACEHOLDER, '0'));
  return filled === undefined ? undefined : text;
};

const labelOf = (written: string, host: string, port: number): string => {
  if (isIP(host) === 6) return `[${host}]:${port}`;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the whole ASCII range is meant
  return `${/^[\u0000-\u007f]*$/.test(written) ? written : host}:${port}`;
};

const parseDirect = (text: string): Parsed<Endpoint> => {
  const match = /^direct:(?:\?address=(.*))?$/is.exec(text);
  if (!match) return wrong('expected direct: or direct:?address=IP');
  const address = match[1] === undefined ? undefined : readHost(match[1]);
  if (match[1] !== undefined && (address === undefined || isIP(address) === 0))
    return wrong('the address of a direct exit must be an IP address');
  return fine({
    kind: 'direct',
    host: '',
    port: 0,
    username: undefined,
    password: undefined,
    localAddress: address,
    label: undefined,
  });
};

/** Takes an upstream URL apart. The message of a failure never repeats any of it. */
export const parseUpstreamUrl = (text: string): Parsed<Endpoint> => {
  if (/^direct:/i.test(text)) return parseDirect(text);
  const match = URL_PARTS.exec(text);
  const scheme = match ? SCHEMES[(match[1] as string).toLowerCase()] : undefined;
  if (!match || !scheme) return wrong(EXPECTED);
  const written = match[3] as string;
  const host = readUpstreamHost(written);
  if (host === undefined) return wrong('the upstream has no valid host name or address');
  const port = match[4] === undefined ? scheme.port : Number(match[4]);
  if (port < 1 || port > 65_535) return wrong('the port must be from 1 to 65535');
  const login = credentials(match[2]);
  if (!login.ok) return login;
  if (scheme.kind === 'socks5' && tooLongForSocks(login.value))
    return wrong('SOCKS credentials have at most 255 bytes');
  return fine({
    kind: scheme.kind,
    host,
    port,
    ...login.value,
    localAddress: undefined,
    label: labelOf(written, host, port),
  });
};

const tooLongForSocks = ({ username, password }: Pick<Upstream, 'username' | 'password'>): boolean =>
  Buffer.byteLength(username ?? '') > 255 || Buffer.byteLength(password ?? '') > 255;

/** The same on every node, whatever spelling the URL has. */
const identity = (endpoint: Endpoint, region: string | undefined): string =>
  createHash('sha256')
    .update(
      JSON.stringify([
        endpoint.kind,
        endpoint.host,
        endpoint.port,
        endpoint.username ?? null,
        endpoint.password ?? null,
        endpoint.localAddress ?? null,
        region ?? null,
      ]),
    )
    .digest('hex')
    .slice(0, 20);

export const makeUpstream = (endpoint: Endpoint, traits: UpstreamTraits = {}): Upstream => ({
  ...endpoint,
  id: identity(endpoint, traits.region),
  region: traits.region,
  weight: traits.weight ?? 1,
  rotating: traits.rotating ?? false,
});

/** Whether `{session}` stands anywhere in it. */
export const hasPlaceholder = (endpoint: Endpoint): boolean =>
  [endpoint.host, endpoint.username, endpoint.password].some((part) => part?.includes(SESSION_PLACEHOLDER));

/** The exit used when none is configured. */
export const directExit = (): Upstream =>
  makeUpstream({
    kind: 'direct',
    host: '',
    port: 0,
    username: undefined,
    password: undefined,
    localAddress: undefined,
    label: undefined,
  });
