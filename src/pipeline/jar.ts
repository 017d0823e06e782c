/** The cookie jar of one attempt: looked at before the request is dressed, filled once the answer is there (section 10). */
import type { JarKey, Shelf } from '../model/cookies.ts';
import type { HeaderList } from '../model/headers.ts';
import type { Job } from '../model/job.ts';
import { cookieChanges, cookieHeader, dressCookies, setCookieLines, siteOf } from '../policy/cookies.ts';
import type { House } from './house.ts';
import type { CookieStore, Soon, Turn } from './ports.ts';

export interface Jar {
  readonly key: JarKey;
  readonly site: string;
  /** What it held when the attempt began. */
  readonly shelf: Shelf | undefined;
}

/** The jar of K-05; `undefined` when none applies: `disable`, `discard`, a rotating upstream outside sessions. */
export const openJar = (cookies: CookieStore, job: Job, { ticket, upstream }: Turn): Soon<Jar | undefined> => {
  if (job.controls.cookies !== 'enable') return undefined;
  const session = ticket.session?.id;
  if (session === undefined && upstream.rotating) return undefined;
  const key = { account: job.account.id, session, upstream: upstream.id };
  const site = siteOf(job.target.host);
  const shelf = cookies.read(key, site);
  return shelf instanceof Promise ? shelf.then((there) => ({ key, site, shelf: there })) : { key, site, shelf };
};

/** Headers with the jar's cookies in place of the client's; only `disable` lets the client's pass (K-01, K-03, H-21). */
export const withCookies = (headers: HeaderList, job: Job, jar: Jar | undefined, now: number): HeaderList =>
  job.controls.cookies === 'disable' ? headers : dressCookies(headers, jar?.shelf && cookieHeader(jar.shelf, job, now));

/** Keeps what the answer sets. A store that is away costs the cookies, not the answer. */
export const fillJar = (
  { cookies, clock }: Pick<House, 'cookies' | 'clock'>,
  job: Job,
  jar: Jar | undefined,
  headers: HeaderList,
): Soon<void> => {
  const lines = jar && setCookieLines(headers);
  if (!lines) return;
  const { key, site, shelf } = jar;
  const changes = cookieChanges(lines, job, clock.now(), shelf);
  if (changes.length === 0) return;
  const kept = cookies.keep(key, site, changes);
  if (kept instanceof Promise) return kept.catch(() => undefined);
};
