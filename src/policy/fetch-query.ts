/** The query of `/fetch`: which URL, with which headers. */

export interface FetchQuery {
  /** Printable ASCII; whether it is a usable URL is judged where every other one is. */
  readonly url: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
}

/** Decoded once, byte by byte: each `%XX` becomes the character of that code, as Node shows header bytes. */
const decodeBytes = (text: string): string =>
  text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
const CONTROL_CHARACTER = /[\u0000-\u001f\u007f]/;

/** Header values may hold a tab; line ends and NUL would make a second header (B01). */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
const BREAKS_A_HEADER = /[\u0000-\u0008\u000a-\u001f\u007f]|[^\u0000-\u00ff]/;

const encodeCharacter = (character: string): string =>
  `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;

/** What a request line cannot hold raw is encoded again: blanks and bytes beyond ASCII. */
const asRequestBytes = (url: string): string | undefined =>
  CONTROL_CHARACTER.test(url) ? undefined : url.replace(/[^\x21-\x7e]/g, encodeCharacter);

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** Framing, hop-by-hop and `Host`: not the caller's to set. */
const FORBIDDEN: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

const isForbidden = (name: string): boolean => {
  const lower = name.toLowerCase();
  return FORBIDDEN.has(lower) || lower.startsWith('proxy-');
};

/** Parts of the `headers` value joined to whole `name:value` texts: a part that starts no header belongs to the one before. */
const wholeParts = (text: string): string[] => {
  const whole: string[] = [];
  for (const part of text.split(';')) {
    const colon = part.indexOf(':');
    if (colon >= 0 && TOKEN.test(part.slice(0, colon).trim())) whole.push(part);
    else if (whole.length > 0) whole.push(`${whole.pop()};${part}`);
  }
  return whole;
};

const parseHeaders = (text: string): (readonly [string, string])[] | undefined => {
  const headers: (readonly [string, string])[] = [];
  for (const part of wholeParts(text)) {
    const colon = part.indexOf(':');
    const name = part.slice(0, colon).trim();
    const value = part.slice(colon + 1).trim();
    if (BREAKS_A_HEADER.test(value)) return undefined;
    if (!isForbidden(name)) headers.push([name, value]);
  }
  return headers;
};

/** Raw value of the first parameter of that name. */
const parameter = (rawQuery: string, name: string): string | undefined => {
  for (const pair of rawQuery.split('&')) if (pair.startsWith(`${name}=`)) return pair.slice(name.length + 1);
  return undefined;
};

/**
 * Reads the query, without its `?`. In `headers` a plus is a space, in `url` it is itself. `undefined` without a URL,
 * or when a control character is in it or in a header (B01): 400 `bad_uri`.
 */
export const parseFetchQuery = (rawQuery: string): FetchQuery | undefined => {
  const rawUrl = parameter(rawQuery, 'url');
  const url = rawUrl === undefined ? undefined : asRequestBytes(decodeBytes(rawUrl));
  if (!url) return undefined;
  const rawHeaders = parameter(rawQuery, 'headers') ?? '';
  const headers = parseHeaders(decodeBytes(rawHeaders.replaceAll('+', ' ')));
  return headers && { url, headers };
};
