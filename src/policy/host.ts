/** Host names and addresses in every spelling, brought to the one form that is the key of pacing, bans and lists (B04). */
import { isIP } from 'node:net';

/** Longest name DNS can hold. */
const MAX_NAME = 253;

const DOT = 0x2e;
const HYPHEN = 0x2d;
const UNDERSCORE = 0x5f;

const isDigit = (code: number): boolean => code >= 0x30 && code <= 0x39;
const isLetter = (code: number): boolean => (code | 0x20) >= 0x61 && (code | 0x20) <= 0x7a;

/** An ordinary ASCII name whose last label is no number: nothing but its case needs a change. */
const isOrdinary = (text: string): boolean => {
  if (text.length > MAX_NAME) return false;
  let labelStart = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === DOT) {
      if (i === labelStart) return false;
      labelStart = i + 1;
    } else if (!isLetter(code) && !isDigit(code) && code !== HYPHEN && code !== UNDERSCORE) return false;
  }
  // A last label with a digit in front may be an IPv4 form; an empty one is a trailing dot.
  return isLetter(text.charCodeAt(labelStart));
};

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Node hands raw bytes over as Latin-1; a name sent as UTF-8 is turned back. */
const fromBytes = (text: string): string => {
  if (!/^[\0-\xff]*[\x80-\xff][\0-\xff]*$/.test(text)) return text;
  try {
    return utf8.decode(Buffer.from(text, 'latin1'));
  } catch {
    return text;
  }
};

/** Characters no host has, some of which the URL parser would drop or read as a delimiter. */
const IMPOSSIBLE = /[\0-\x20\x7f/\\?#@<>^|"`{}]/;

/** What DNS can hold, underscore included; the URL parser lets more through. */
const NAME = /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/;

const viaUrl = (text: string): string | undefined => {
  if (text.length > 4 * MAX_NAME || IMPOSSIBLE.test(text)) return undefined;
  if (!text.startsWith('[') && text.includes(':')) return undefined;
  const url = `http://${fromBytes(text)}/`;
  if (!URL.canParse(url)) return undefined;
  const { hostname } = new URL(url);
  if (hostname.startsWith('[')) return hostname.slice(1, -1);
  const name = hostname.endsWith('.') ? hostname.slice(0, -1) : hostname;
  return name.length <= MAX_NAME && NAME.test(name) ? name : undefined;
};

/**
 * Lower-case ASCII name or address literal without brackets and trailing dot; `undefined` when it can be no host.
 * IPv6 is expected in brackets. Decimal, octal, hexadecimal and short IPv4 forms become dotted decimal (D02).
 */
export const normaliseHost = (text: string): string | undefined => {
  if (!isOrdinary(text)) return isIP(text) === 4 ? text : viaUrl(text);
  const lower = text.toLowerCase();
  // Punycode is not every sequence of letters.
  return lower.includes('xn--') ? viaUrl(lower) : lower;
};
