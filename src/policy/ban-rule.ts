/** What a ban rule is, once read and checked: the words of `config/ban-rules.yaml`. */

/**
 * `ban`: the exit is refused by the website. `throttle`: the same, and a `Retry-After` slows the account down.
 * `login`: a login wall, judged as a ban. `suspect`: noted in the log, never bans. `ok`: an answer, whatever later rules say.
 */
export const VERDICTS = ['ban', 'throttle', 'login', 'suspect', 'ok'] as const;
export type Verdict = (typeof VERDICTS)[number];

/** Of a decoded body no more is looked at. */
export const BODY_BYTES = 65_536;

/** Bodies of these media types are looked at; the empty one = no `Content-Type`. */
export const BODY_TYPES: readonly string[] = [
  'text/html',
  'application/xhtml+xml',
  'text/plain',
  'application/json',
  '',
];

export interface HeaderTest {
  /** Whether it is there with a value that is not blank. */
  readonly exists?: boolean | undefined;
  /** Alternatives in lower case. */
  readonly equals?: readonly string[] | undefined;
  /** In lower case. */
  readonly prefix?: string | undefined;
  readonly regex?: RegExp | undefined;
}

export interface BodyTest {
  /** Longest decoded body, in bytes, that fits. */
  readonly maxLen?: number | undefined;
  /** In lower case; case of ASCII letters is ignored. */
  readonly containsAny?: readonly string[] | undefined;
  readonly containsAll?: readonly string[] | undefined;
  /** Alternatives for the whole `<title>`, in lower case. */
  readonly title?: readonly string[] | undefined;
  readonly regex?: RegExp | undefined;
  /** Whether nothing but white space is in it. */
  readonly empty?: boolean | undefined;
}

export interface LocationTest {
  readonly host?: RegExp | undefined;
  readonly path?: RegExp | undefined;
}

/** A condition: all its parts hold. Lists inside a part are alternatives. */
export interface When {
  /** Inclusive ranges. */
  readonly status?: readonly (readonly [number, number])[] | undefined;
  readonly methods?: readonly string[] | undefined;
  /** Media types in lower case; `text/` stands for all of them, the empty one for none given. */
  readonly contentType?: readonly string[] | undefined;
  /** By name in lower case. */
  readonly headers?: readonly (readonly [lowerName: string, test: HeaderTest])[] | undefined;
  /** A header whose lower-case name starts so. */
  readonly headerPrefix?: readonly string[] | undefined;
  /** Names of cookies, exactly. */
  readonly setCookie?: readonly string[] | undefined;
  readonly location?: LocationTest | undefined;
  readonly body?: BodyTest | undefined;
  readonly any?: readonly When[] | undefined;
  readonly all?: readonly When[] | undefined;
  readonly not?: When | undefined;
}

export interface BanRule {
  readonly id: string;
  readonly vendor: string;
  readonly verdict: Verdict;
  readonly enabled: boolean;
  /** See `makeScope`. */
  readonly domains: readonly string[];
  readonly excludeDomains: readonly string[];
  readonly when: When;
  readonly source: readonly string[];
  /** Saved responses this rule has to match and must not match. */
  readonly tests: { readonly match: readonly string[]; readonly noMatch: readonly string[] };
}
