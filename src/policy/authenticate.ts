/** Who asks: from the value of an authorization header to an account and what its user name adds (U-01 to U-03, U-11). */
import { createHash } from 'node:crypto';
import type { Account, NameSuffix } from '../model/job.ts';
import type { AccountEntry } from '../model/settings.ts';

export interface Authenticated {
  readonly account: Account;
  readonly suffix: NameSuffix;
}

/** Longest header value looked at; longer ones are a wrong key. */
const MAX_VALUE = 4096;
/** Remembered header values, and the longest of them. */
const CACHE_ENTRIES = 4096;
const CACHE_VALUE = 512;

const NO_SUFFIX: NameSuffix = Object.freeze({ sessionName: undefined, region: undefined });

const BASIC = /^basic +([A-Za-z0-9+/_-]+)={0,2}$/i;

/** User name of a `Basic` value: all before the first colon, what follows is ignored (U-01). `undefined` = unusable. */
export const parseBasic = (headerValue: string): string | undefined => {
  if (headerValue.length > MAX_VALUE) return undefined;
  const encoded = BASIC.exec(headerValue.trim())?.[1];
  if (encoded === undefined) return undefined;
  // Node reads both alphabets and does without padding (U-03).
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  const user = colon < 0 ? text : text.slice(0, colon);
  return user === '' ? undefined : user;
};

/** The rightmost suffix of a user name, or `undefined`. A value holds no hyphen, so the last one precedes it. */
const lastSuffix = (name: string): { rest: string; kind: 'session' | 'region'; value: string } | undefined => {
  const match = /^(.+)-(?:session-([A-Za-z0-9_]{1,64})|region-([a-z]{2}))$/s.exec(name);
  if (!match) return undefined;
  const [, rest, session, region] = match as unknown as [string, string, string | undefined, string | undefined];
  return session === undefined
    ? { rest, kind: 'region', value: region as string }
    : { rest, kind: 'session', value: session };
};

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/**
 * Finds accounts by header value. Keys are compared as SHA-256 digests, so the time a look-up takes tells nothing about
 * a key (C06). Successes are remembered by header value, at most 4096 of them. `undefined` = missing or wrong, 407.
 */
export const makeAuthenticator = (
  entries: readonly AccountEntry[],
): ((headerValue: string | undefined) => Authenticated | undefined) => {
  const accounts = new Map(entries.map((entry) => [entry.keySha256, entry.account]));
  const cache = new Map<string, Authenticated>();

  const byName = (userName: string): Authenticated | undefined => {
    let name = userName;
    let suffix = NO_SUFFIX;
    for (;;) {
      const account = accounts.get(sha256(name));
      if (account) return { account, suffix };
      const last = lastSuffix(name);
      if (!last) return undefined;
      const field = last.kind === 'session' ? 'sessionName' : 'region';
      if (suffix[field] !== undefined) return undefined;
      suffix = { ...suffix, [field]: last.value };
      name = last.rest;
    }
  };

  const remember = (headerValue: string, found: Authenticated): void => {
    if (headerValue.length > CACHE_VALUE) return;
    if (cache.size >= CACHE_ENTRIES) cache.delete(cache.keys().next().value as string);
    cache.set(headerValue, found);
  };

  return (headerValue) => {
    if (headerValue === undefined) return undefined;
    const known = cache.get(headerValue);
    if (known) return known;
    const name = parseBasic(headerValue);
    const found = name === undefined ? undefined : byName(name);
    if (found) remember(headerValue, found);
    return found;
  };
};
