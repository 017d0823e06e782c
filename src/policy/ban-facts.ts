/** What ban rules can ask about one response; what costs something is worked out when first asked for. */
import { allValues, type HeaderList, lastValue } from '../model/headers.ts';
import type { Hits } from './ban-words.ts';

/** The request a response answers; a `Job` is one. */
export interface Asked {
  readonly method: string;
  readonly target: { readonly scheme: string; readonly host: string; readonly authority: string };
  readonly path: string;
}

/** The head of a response; an `InboundResponse` is one. */
export interface Head {
  readonly status: number;
  readonly headers: HeaderList;
  /** Announced body length; `undefined` = until its end. */
  readonly length: number | undefined;
}

export interface BodyFacts {
  readonly bytes: Buffer;
  readonly hits: Hits;
  text: string | undefined;
}

export interface Facts {
  readonly asked: Asked;
  readonly head: Head;
  /** `undefined` = not known (yet). */
  body: BodyFacts | undefined;
  type: string | undefined;
  location: URL | null | undefined;
}

export const factsOf = (asked: Asked, head: Head): Facts => ({
  asked,
  head,
  body: undefined,
  type: undefined,
  location: undefined,
});

/** `Text/HTML ; charset=x` -> `text/html`; empty when there is none. */
export const mediaType = (facts: Facts): string => {
  if (facts.type !== undefined) return facts.type;
  const value = lastValue(facts.head.headers, 'content-type') ?? '';
  const end = value.indexOf(';');
  facts.type = (end < 0 ? value : value.slice(0, end)).trim().toLowerCase();
  return facts.type;
};

const LONGEST_LOCATION = 8192;

const resolved = ({ asked, head }: Facts): URL | null => {
  const value = lastValue(head.headers, 'location')?.trim();
  if (!value || value.length > LONGEST_LOCATION) return null;
  const { scheme, authority } = asked.target;
  const base = `${scheme}://${authority}${asked.path}`;
  return URL.canParse(value, base) ? new URL(value, base) : null;
};

/** Where `Location` leads, seen from the request; `null` when nowhere. */
export const locationOf = (facts: Facts): URL | null => {
  if (facts.location === undefined) facts.location = resolved(facts);
  return facts.location;
};

export const setsCookie = (headers: HeaderList, names: readonly string[]): boolean =>
  allValues(headers, 'set-cookie').some((line) => names.includes(line.slice(0, Math.max(0, line.indexOf('='))).trim()));

export const textOf = (body: BodyFacts): string => {
  body.text ??= body.bytes.toString('utf8');
  return body.text;
};

/** The `<title>` in lower case, white space made single. */
export const titleOf = (body: BodyFacts): string | undefined =>
  /<title[^>]{0,200}>([^<]{0,300})/i.exec(textOf(body))?.[1]?.replace(/\s+/g, ' ').trim().toLowerCase();

const isBlankByte = (byte: number): boolean => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);

export const isBlank = (bytes: Buffer): boolean => bytes.every(isBlankByte);
