/** Cookie jars on Redis: a hash a jar, a field a site, changed cookie by cookie in one script. */
import type { JarKey, Shelf, StoredCookie } from '../model/cookies.ts';
import type { CookieStore } from '../pipeline/ports.ts';
import type { StoreSettings } from '../pipeline/store-port.ts';
import { MAX_COOKIES, MAX_SHELF_BYTES, MAX_SITES } from '../policy/cookies.ts';
import type { Desk } from './redis-desk.ts';
import type { Jars } from './redis-jars.ts';
import { HOUSE, siteTag } from './redis-keys.ts';

const UNIT = '\x1f';
const RECORD = '\x1e';

/** What the identity does not say. */
type Rest = readonly [value: string, hostOnly: boolean, secure: boolean, createdAt: number, expiresAt: number | null];

const textOf = ({ value, hostOnly, secure, createdAt, expiresAt }: StoredCookie): string => {
  const rest: Rest = [value, hostOnly, secure, createdAt, expiresAt ?? null];
  return JSON.stringify(rest);
};

const cookieOf = (identity: string, text: string): StoredCookie => {
  const [domain = '', path = '', name = ''] = identity.split('\n');
  const [value, hostOnly, secure, createdAt, expiresAt] = JSON.parse(text) as Rest;
  return { name, value, domain, path, hostOnly, secure, createdAt, expiresAt: expiresAt ?? undefined };
};

const shelfOf = (text: string): Shelf | undefined => {
  if (text === '' || text === ' ') return undefined;
  const shelf = new Map<string, StoredCookie>();
  for (const entry of text.split(RECORD)) {
    const unit = entry.indexOf(UNIT);
    if (unit < 0) continue;
    const identity = entry.slice(0, unit);
    shelf.set(identity, cookieOf(identity, entry.slice(unit + 1)));
  }
  return shelf;
};

export interface RedisCookiesOptions {
  readonly desk: Desk;
  readonly cluster: boolean;
  readonly settings: () => StoreSettings;
  readonly jars: Jars;
}

export const makeRedisCookies = ({ desk, cluster, settings, jars }: RedisCookiesOptions): CookieStore => {
  const nameOf = ({ account, session, upstream }: JarKey): string =>
    session === undefined ? `u${upstream}:${account}` : `s${session}:${account}`;
  /** A session's jar stays with its session; the others are spread. */
  const tagOf = ({ session, upstream }: JarKey): string => (session === undefined ? siteTag(cluster, upstream) : HOUSE);
  const idleOf = ({ session }: JarKey): number | '' => (session === undefined ? settings().cookieIdleMs : '');

  const ask = (jar: JarKey, site: string): Promise<unknown> => {
    const name = nameOf(jar);
    return desk.ask('cookies', [`${tagOf(jar)}jar:${name}`], [name, site, idleOf(jar)], desk.image());
  };

  return {
    read: (jar, site) => {
      const brought = jars.take(jar, site);
      if (brought === undefined) return ask(jar, site).then((text) => shelfOf(text as string));
      // The jar counts as used; nobody waits for that.
      if (brought !== '') ask(jar, site).catch(() => undefined);
      return shelfOf(brought);
    },
    keep: async (jar, site, changes) => {
      const name = nameOf(jar);
      const { account, session } = jar;
      const who = session === undefined ? ['', ''] : [account, session];
      const limits = [MAX_COOKIES, MAX_SHELF_BYTES, MAX_SITES];
      const entries = changes.flatMap(([identity, cookie]) => [identity, cookie ? textOf(cookie) : '']);
      const args = [name, site, idleOf(jar), ...who, ...limits, ...entries];
      await desk.ask('keep', [`${tagOf(jar)}jar:${name}`], args, desk.image());
    },
  };
};
