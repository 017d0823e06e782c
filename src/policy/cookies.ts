/** Which cookies a request carries and what a response changes (K-01 to K-05, RFC 6265). Home of tough-cookie. */
import { LRUCache } from 'lru-cache';
import { Cookie, canonicalDomain, defaultPath, domainMatch, getPublicSuffix, pathMatch } from 'tough-cookie';
import type { CookieChange, Shelf, StoredCookie } from '../model/cookies.ts';
import type { HeaderList } from '../model/headers.ts';
import type { Job, Target } from '../model/job.ts';

/** Most cookies of one site in one jar, as in browsers. */
export const MAX_COOKIES = 180;
/** Most bytes of one site in one jar. */
export const MAX_SHELF_BYTES = 65_536;
/** Most sites in one jar. */
export const MAX_SITES = 1_000;
/** Most bytes of name and value; a longer cookie is ignored. */
const MAX_COOKIE_BYTES = 4_096;
/** A longer `Path` counts as absent. */
const MAX_PATH = 1_024;

/** The part of a job that decides on cookies. */
export interface Place {
  readonly target: Pick<Target, 'scheme' | 'host'>;
  readonly path: Job['path'];
}

/** The registrable domain of a name; `undefined` for public suffixes, single labels and addresses. */
const registrable = (name: string): string | undefined =>
  name.includes('.') ? getPublicSuffix(name, { allowSpecialUseDomain: true, ignoreError: true }) : undefined;

const sites = new LRUCache<string, string>({ max: 10_000 });

/** The site a host's cookies are kept under: no cookie ever crosses it. */
export const siteOf = (host: string): string => {
  let site = sites.get(host);
  if (site === undefined) {
    site = registrable(host) ?? host;
    sites.set(host, site);
  }
  return site;
};

const pathOf = (target: string): string => {
  const query = target.indexOf('?');
  const path = query < 0 ? target : target.slice(0, query);
  return path.startsWith('/') ? path : '/';
};

const isOver = ({ expiresAt }: StoredCookie, now: number): boolean => expiresAt !== undefined && expiresAt <= now;

const goesTo = (cookie: StoredCookie, { scheme, host }: Place['target'], path: string): boolean => {
  if (cookie.secure && scheme !== 'https') return false;
  if (cookie.hostOnly ? cookie.domain !== host : !domainMatch(host, cookie.domain, false)) return false;
  return pathMatch(path, cookie.path);
};

/** Longer paths first, then older ones (RFC 6265 section 5.4). */
const inOrder = (a: StoredCookie, b: StoredCookie): number =>
  b.path.length - a.path.length || a.createdAt - b.createdAt;

/** The value of `Cookie` for a request; `undefined` when none fits. */
export const cookieHeader = (shelf: Shelf, { target, path }: Place, now: number): string | undefined => {
  const requestPath = pathOf(path);
  const fitting: StoredCookie[] = [];
  for (const cookie of shelf.values()) {
    if (!isOver(cookie, now) && goesTo(cookie, target, requestPath)) fitting.push(cookie);
  }
  if (fitting.length === 0) return undefined;
  return fitting
    .sort(inOrder)
    .map(({ name, value }) => (name === '' ? value : `${name}=${value}`))
    .join('; ');
};

const isNamed = (name: string, lowerName: string): boolean =>
  name.length === lowerName.length && name.toLowerCase() === lowerName;

/** Headers with `value` as their only `Cookie`, where the client's first one stood, else at the end (K-01, H-21). */
export const dressCookies = (headers: HeaderList, value: string | undefined): HeaderList => {
  let out: string[] | undefined;
  let sent = value === undefined;
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] as string;
    if (!isNamed(name, 'cookie')) {
      out?.push(name, headers[i + 1] as string);
      continue;
    }
    out ??= headers.slice(0, i);
    if (!sent) out.push(name, value as string);
    sent = true;
  }
  return sent ? (out ?? headers) : [...(out ?? headers), 'Cookie', value as string];
};

/** The `Set-Cookie` lines of a response; `undefined` when there are none, as in most. */
export const setCookieLines = (headers: HeaderList): string[] | undefined => {
  let lines: string[] | undefined;
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (isNamed(headers[i] as string, 'set-cookie')) lines = [...(lines ?? []), headers[i + 1] as string];
  }
  return lines;
};

// biome-ignore lint/suspicious/noControlCharactersInRegex: a cookie with one of them is ignored whole
const CONTROLS = /[\x00-\x08\x0a-\x1f\x7f]/;

/** Only blanks: bytes above ASCII are the value's own. */
const trim = (text: string): string => text.replace(/^[ \t]+|[ \t]+$/g, '');

interface Pair {
  readonly name: string;
  readonly value: string;
}

const pairOf = (text: string): Pair | undefined => {
  const equals = text.indexOf('=');
  const name = equals < 0 ? '' : trim(text.slice(0, equals));
  const value = trim(text.slice(equals + 1));
  const size = name.length + value.length;
  return size === 0 || size > MAX_COOKIE_BYTES ? undefined : { name, value };
};

const asciiDomain = (domain: string): string | undefined => {
  try {
    return canonicalDomain(domain);
  } catch {
    return undefined;
  }
};

/** Whom a cookie is for; `undefined` when the host may not set it. */
const scopeOf = (given: string | null, host: string): Pick<StoredCookie, 'domain' | 'hostOnly'> | undefined => {
  if (given === null) return { domain: host, hostOnly: true };
  const domain = asciiDomain(given);
  if (domain === undefined) return undefined;
  if (registrable(domain) === undefined) return domain === host ? { domain, hostOnly: true } : undefined;
  return domainMatch(host, domain, false) ? { domain, hostOnly: false } : undefined;
};

/** What a name that begins with a prefix promises must be so. */
const keepsPromise = ({ name, value }: Pair, { secure, domain, path }: Cookie): boolean => {
  const shown = (name === '' ? value : name).toLowerCase();
  const isHost = shown.startsWith('__host-');
  if (!isHost && !shown.startsWith('__secure-')) return true;
  return name !== '' && secure && (!isHost || (domain === null && path === '/'));
};

const endOf = ({ maxAge, expires }: Cookie, now: number): number | undefined => {
  if (typeof maxAge === 'number') return maxAge <= 0 ? 0 : now + maxAge * 1_000;
  if (maxAge === '-Infinity') return 0;
  return expires instanceof Date && maxAge === null ? expires.getTime() : undefined;
};

/** A `Set-Cookie` line as a cookie; `undefined` when it is ignored. One that has ended already takes its like away. */
const readLine = (line: string, { target, path }: Place, now: number): StoredCookie | undefined => {
  if (CONTROLS.test(line)) return undefined;
  const semicolon = line.indexOf(';');
  const pair = pairOf(semicolon < 0 ? line : line.slice(0, semicolon));
  // The pair is read above, byte for byte; only the attributes are left to read.
  const cookie = pair && Cookie.parse(semicolon < 0 ? 'a=' : `a=${line.slice(semicolon)}`);
  const scope = cookie && scopeOf(cookie.domain, target.host);
  if (!scope || !keepsPromise(pair, cookie) || (cookie.secure && target.scheme !== 'https')) return undefined;
  const ownPath = cookie.path !== null && cookie.path.length <= MAX_PATH ? cookie.path : undefined;
  return {
    name: pair.name,
    value: pair.value,
    domain: scope.domain,
    path: ownPath ?? defaultPath(pathOf(path)),
    hostOnly: scope.hostOnly,
    secure: cookie.secure,
    createdAt: now,
    expiresAt: endOf(cookie, now),
  };
};

export const identityOf = ({ domain, path, name }: Pick<StoredCookie, 'domain' | 'path' | 'name'>): string =>
  `${domain}\n${path}\n${name}`;

/** Over http no cookie may stand in the way of one that only https may set. */
const shadowsSecure = (cookie: StoredCookie, shelf: Shelf | undefined): boolean => {
  for (const other of shelf?.values() ?? []) {
    if (!other.secure || other.name !== cookie.name || !pathMatch(cookie.path, other.path)) continue;
    if (domainMatch(cookie.domain, other.domain, false) || domainMatch(other.domain, cookie.domain, false)) return true;
  }
  return false;
};

/**
 * What the `Set-Cookie` lines of a response change. `shelf` = what was kept before, as far as known; cookies on it that
 * have ended are taken away as well.
 */
export const cookieChanges = (
  lines: readonly string[],
  place: Place,
  now: number,
  shelf: Shelf | undefined,
): CookieChange[] => {
  const changes: CookieChange[] = [];
  for (const [identity, cookie] of shelf ?? []) if (isOver(cookie, now)) changes.push([identity, undefined]);
  lines.forEach((line, index) => {
    const cookie = readLine(line, place, now);
    if (!cookie || (place.target.scheme !== 'https' && shadowsSecure(cookie, shelf))) return;
    const identity = identityOf(cookie);
    const before = shelf?.get(identity);
    const createdAt = before && !isOver(before, now) ? before.createdAt : now + index / 1_000;
    changes.push([identity, isOver(cookie, now) ? undefined : { ...cookie, createdAt }]);
  });
  return changes;
};
