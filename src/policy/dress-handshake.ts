/** A WebSocket's handshake in a browser's dress: nothing that goes with pages only, the order left to the client (G-03, T-18). */
import type { Browser } from '../model/agents.ts';
import type { HeaderList } from '../model/headers.ts';
import { tells } from './dress-page.ts';

const LANGUAGE = 'en-US,en;q=0.9';
const KEY = 'sec-websocket-key';

/** What a browser says of itself with a handshake; names as in a page, by lower-case name. */
const ownWords = ({ userAgent }: Browser): ReadonlyMap<string, string> =>
  new Map([
    ['user-agent', userAgent],
    ['accept-language', LANGUAGE],
  ]);

/** Browsers name these before the key, whatever else they order differently. */
const missingFrom = (written: ReadonlySet<string>, { userAgent }: Browser): string[] => {
  const missing: string[] = [];
  if (!written.has('user-agent')) missing.push('User-Agent', userAgent);
  if (!written.has('accept-encoding')) missing.push('Accept-Encoding', 'identity');
  if (!written.has('accept-language')) missing.push('Accept-Language', LANGUAGE);
  return missing;
};

/**
 * `User-Agent` and `Accept-Language` become the browser's; other telling headers go unless they are in `pass`. Every
 * `Sec-WebSocket-*` stays as it is.
 */
export const dressHandshake = (
  headers: HeaderList,
  browser: Browser,
  pass: readonly string[],
): { headers: string[]; framed: boolean } => {
  const own = ownWords(browser);
  const written = new Set<string>();
  const out: string[] = [];
  let keyAt: number | undefined;
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] as string;
    const lower = name.toLowerCase();
    const passes = pass.includes(lower) || !tells(lower);
    const value = passes ? headers[i + 1] : own.get(lower);
    if (value === undefined || (!passes && written.has(lower))) continue;
    if (lower === KEY) keyAt = out.length;
    written.add(lower);
    out.push(name, value);
  }
  out.splice(keyAt ?? out.length, 0, ...missingFrom(written, browser));
  return { headers: out, framed: false };
};
