/** Cookies that came along with a grant, until they are asked for in the same breath: no second way to Redis for them. */
import type { JarKey } from '../model/cookies.ts';
import type { Ask } from '../pipeline/ports.ts';
import { siteOf } from '../policy/cookies.ts';

export interface Jars {
  /** Notes the cookies of a script's answer, if it brings any. */
  brought(ask: Ask, answer: readonly string[]): void;
  /** What was brought, once; `undefined` when nothing was. */
  take(jar: JarKey, site: string): string | undefined;
}

/** Where in an answer of `go` the cookies stand. */
const COOKIES_AT = 4;

const nameOf = (account: string, session: string | undefined, upstream: string, site: string): string =>
  `${account} ${session ?? `u${upstream}`} ${site}`;

export const makeJars = (): Jars => {
  const there = new Map<string, string>();

  /** Later they may have changed, and those whose requests want none must not pile up. */
  const forget = (): void => there.clear();

  return {
    brought: ({ account, website }, answer) => {
      const [kind, upstream = '', session] = answer;
      const cookies = answer[COOKIES_AT];
      if (kind !== 'go' || cookies === undefined) return;
      if (there.size === 0) setImmediate(forget);
      there.set(nameOf(account, session === '' ? undefined : session, upstream, siteOf(website)), cookies);
    },
    take: ({ account, session, upstream }, site) => {
      const name = nameOf(account, session, upstream, site);
      const cookies = there.get(name);
      if (cookies !== undefined) there.delete(name);
      return cookies;
    },
  };
};
