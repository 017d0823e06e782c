/** Cookie jars of the memory store: how long each lives and how much all of them hold (K-02, K-05). */
import type { CookieChange, JarKey, Shelf, StoredCookie } from '../model/cookies.ts';
import { MAX_COOKIES, MAX_SHELF_BYTES, MAX_SITES } from '../policy/cookies.ts';
import { type Linked, makeChain } from './chain.ts';

export interface SavedJar {
  readonly account: string;
  readonly session: string;
  readonly cookies: readonly (readonly [site: string, cookie: StoredCookie])[];
}

export interface Jars {
  /** Counts as a use of the jar. */
  read(key: JarKey, site: string, now: number): Shelf | undefined;
  keep(key: JarKey, site: string, changes: readonly CookieChange[], now: number): void;
  /** A session has ended, and its jar with it. */
  drop(account: string, session: string): boolean;
  /** Jars of sessions, the last used first, up to so many bytes. */
  ofSessions(mostBytes: number): SavedJar[];
}

interface SiteShelf {
  readonly cookies: Map<string, StoredCookie>;
  bytes: number;
}

interface Jar extends Linked<Jar> {
  readonly key: JarKey;
  /** By site, the one set longest ago first. */
  readonly sites: Map<string, SiteShelf>;
  bytes: number;
  lastUse: number;
}

/** All jars together; beyond it the one used longest ago is forgotten. */
const MAX_BYTES = 128 * 1_048_576;

/** What an entry takes besides its text, roughly. */
const ENTRY_BYTES = 100;

const sizeOf = (identity: string, { value }: StoredCookie): number => ENTRY_BYTES + identity.length + value.length;

const holderOf = ({ session, upstream }: JarKey): string => (session === undefined ? `u${upstream}` : `s${session}`);

const remove = (shelf: SiteShelf, identity: string): void => {
  const before = shelf.cookies.get(identity);
  if (!before) return;
  shelf.bytes -= sizeOf(identity, before);
  shelf.cookies.delete(identity);
};

const put = (shelf: SiteShelf, [identity, cookie]: CookieChange): void => {
  remove(shelf, identity);
  if (!cookie) return;
  shelf.cookies.set(identity, cookie);
  shelf.bytes += sizeOf(identity, cookie);
};

const trim = (shelf: SiteShelf): void => {
  for (const identity of shelf.cookies.keys()) {
    if (shelf.cookies.size <= MAX_COOKIES && shelf.bytes <= MAX_SHELF_BYTES) return;
    remove(shelf, identity);
  }
};

const saved = ({ key, sites }: Jar): SavedJar => ({
  account: key.account,
  session: key.session as string,
  cookies: [...sites].flatMap(([site, { cookies }]) => [...cookies.values()].map((cookie) => [site, cookie] as const)),
});

export const makeJars = (idleMs: () => number): Jars => {
  const byAccount = new Map<string, Map<string, Jar>>();
  /** Each in order of last use: those that end by themselves, and those that end with their session. */
  const passing = makeChain<Jar>();
  const bound = makeChain<Jar>();
  let bytes = 0;

  const chainOf = (jar: Jar) => (jar.key.session === undefined ? passing : bound);

  const forget = (jar: Jar): void => {
    const jars = byAccount.get(jar.key.account);
    jars?.delete(holderOf(jar.key));
    if (jars?.size === 0) byAccount.delete(jar.key.account);
    chainOf(jar).remove(jar);
    bytes -= jar.bytes;
  };

  const find = (key: JarKey, now: number): Jar | undefined => {
    const life = idleMs();
    for (let jar = passing.first(); jar && jar.lastUse + life <= now; jar = passing.first()) forget(jar);
    const jar = byAccount.get(key.account)?.get(holderOf(key));
    if (!jar) return undefined;
    jar.lastUse = now;
    chainOf(jar).append(jar);
    return jar;
  };

  const make = (key: JarKey, now: number): Jar => {
    const jar: Jar = {
      key,
      sites: new Map(),
      bytes: 0,
      lastUse: now,
      before: undefined,
      after: undefined,
      linked: false,
    };
    const jars = byAccount.get(key.account) ?? new Map<string, Jar>();
    byAccount.set(key.account, jars.set(holderOf(key), jar));
    chainOf(jar).append(jar);
    return jar;
  };

  const grow = (jar: Jar, by: number): void => {
    jar.bytes += by;
    bytes += by;
  };

  const forgetSites = (jar: Jar): void => {
    for (const [site, shelf] of jar.sites) {
      if (jar.sites.size <= MAX_SITES) return;
      jar.sites.delete(site);
      grow(jar, -shelf.bytes);
    }
  };

  const oldest = (): Jar | undefined => {
    const one = passing.first();
    const other = bound.first();
    return one && other && other.lastUse < one.lastUse ? other : (one ?? other);
  };

  const forgetJars = (): void => {
    for (let jar = oldest(); jar && bytes > MAX_BYTES; jar = oldest()) forget(jar);
  };

  return {
    read: (key, site, now) => find(key, now)?.sites.get(site)?.cookies,
    keep: (key, site, changes, now) => {
      const known = find(key, now);
      if (!known && changes.every(([, cookie]) => cookie === undefined)) return;
      const jar = known ?? make(key, now);
      const shelf = jar.sites.get(site) ?? { cookies: new Map(), bytes: 0 };
      const before = shelf.bytes;
      for (const change of changes) put(shelf, change);
      trim(shelf);
      jar.sites.delete(site);
      if (shelf.cookies.size > 0) jar.sites.set(site, shelf);
      grow(jar, shelf.bytes - before);
      if (jar.sites.size === 0) forget(jar);
      forgetSites(jar);
      forgetJars();
    },
    drop: (account, session) => {
      const jar = byAccount.get(account)?.get(`s${session}`);
      if (jar) forget(jar);
      return jar !== undefined;
    },
    ofSessions: (mostBytes) => {
      const out: SavedJar[] = [];
      let left = mostBytes;
      for (let jar = bound.last(); jar && left >= jar.bytes; jar = jar.before) {
        left -= jar.bytes;
        out.push(saved(jar));
      }
      return out;
    },
  };
};
