/** Cookies as they are kept, and whose they are (section 10). No behaviour. */

/** One cookie of a jar. Its identity is (domain, path, name). */
export interface StoredCookie {
  /** `''` for one without a name: only its value is sent. */
  readonly name: string;
  /** Bytes as the target sent them (Latin-1). */
  readonly value: string;
  /** Lower case, no leading dot. */
  readonly domain: string;
  readonly path: string;
  /** Only for exactly `domain`, not for names below it. */
  readonly hostOnly: boolean;
  /** Only over https. */
  readonly secure: boolean;
  /** Wall clock, milliseconds with fractions: who is sent first among equals. */
  readonly createdAt: number;
  /** Wall clock, milliseconds; `undefined` = as long as its jar. */
  readonly expiresAt: number | undefined;
}

/** A jar's cookies of one site, by identity, least recently set first. */
export type Shelf = ReadonlyMap<string, StoredCookie>;

/** What one response does to a jar: a cookie to set, or `undefined` to take away, by identity. */
export type CookieChange = readonly [identity: string, cookie: StoredCookie | undefined];

/** Whose jar (K-05): of the session when there is one, else of account and upstream. */
export interface JarKey {
  readonly account: string;
  /** Session id. */
  readonly session: string | undefined;
  /** Upstream id; of no account inside a session. */
  readonly upstream: string;
}
