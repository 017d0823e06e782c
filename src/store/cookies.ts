/** The memory store's cookies: jars, and a file in which those of sessions outlive the process. */
import type { StoredCookie } from '../model/cookies.ts';
import type { Clock, CookieStore } from '../pipeline/ports.ts';
import { identityOf } from '../policy/cookies.ts';
import { makeJars, type SavedJar } from './jars.ts';
import { makeKeeper, NO_KEEPER } from './keeper.ts';
import { isRecord, isText, isTime, readKept } from './kept.ts';
import type { Session } from './session-book.ts';

export interface MemoryCookies extends CookieStore {
  ended(session: Session): void;
  /** Reads the file, once the sessions are there again. */
  restore(): void;
  close(): Promise<void>;
}

export interface MemoryCookiesOptions {
  readonly clock: Clock;
  readonly idleMs: () => number;
  readonly isLive: (account: string, session: string) => boolean;
  readonly report: (problem: string) => void;
  readonly file: string | undefined;
}

const VERSION = 1;
const WHAT = 'cookies of sessions';

/** The file stays quick to write; sessions used longest ago do without. */
const MAX_SAVED_BYTES = 16 * 1_048_576;

interface Saved {
  readonly version: typeof VERSION;
  readonly jars: readonly SavedJar[];
}

const isCookie = (value: unknown): value is StoredCookie => {
  if (!isRecord(value)) return false;
  const { name, value: text, domain, path, hostOnly, secure, createdAt, expiresAt } = value;
  const texts = isText(name) && isText(text) && isText(domain) && isText(path);
  const flags = typeof hostOnly === 'boolean' && typeof secure === 'boolean';
  return texts && flags && isTime(createdAt) && (expiresAt === undefined || isTime(expiresAt));
};

const isJar = (value: unknown): value is SavedJar => {
  if (!isRecord(value)) return false;
  const { account, session, cookies } = value;
  if (!isText(account) || !isText(session) || !Array.isArray(cookies)) return false;
  return cookies.every((entry) => Array.isArray(entry) && isText(entry[0]) && isCookie(entry[1]));
};

const isSaved = (value: unknown): value is Saved =>
  isRecord(value) && value['version'] === VERSION && Array.isArray(value['jars']) && value['jars'].every(isJar);

export const makeMemoryCookies = (options: MemoryCookiesOptions): MemoryCookies => {
  const { clock, idleMs, isLive, report, file } = options;
  const jars = makeJars(idleMs);
  const text = (): string => `${JSON.stringify({ version: VERSION, jars: jars.ofSessions(MAX_SAVED_BYTES) })}\n`;
  const keeper = file === undefined ? NO_KEEPER : makeKeeper({ what: WHAT, file, clock, report, text });

  const keep: CookieStore['keep'] = (jar, site, changes) => {
    if (jar.session !== undefined) {
      if (!isLive(jar.account, jar.session)) return;
      keeper.touched();
    }
    jars.keep(jar, site, changes, clock.now());
  };

  /** The last used come first in the file. */
  const putBack = (saved: readonly SavedJar[]): void => {
    for (const { account, session, cookies } of [...saved].reverse()) {
      for (const [site, cookie] of cookies) {
        keep({ account, session, upstream: '' }, site, [[identityOf(cookie), cookie]]);
      }
    }
  };

  return {
    read: (jar, site) => jars.read(jar, site, clock.now()),
    keep,
    ended: ({ account, id }) => {
      if (jars.drop(account, id)) keeper.touched();
    },
    restore: () => putBack((file === undefined ? undefined : readKept(WHAT, file, isSaved, report))?.jars ?? []),
    close: keeper.close,
  };
};
