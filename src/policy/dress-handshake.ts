/** A WebSocket's handshake in a browser's dress: none of what browsers send with pages only, everything at its place (G-03, T-18). */
import type { Browser } from '../model/agents.ts';
import type { HeaderList } from '../model/headers.ts';
import { mannerOf } from './browser-headers.ts';
import { tells } from './dress-page.ts';

const LANGUAGE = 'accept-language';
const AGENT = 'user-agent';

const valueIn = (headers: readonly string[], lowerName: string): string | undefined => {
  const at = headers.findIndex((name, i) => i % 2 === 0 && name.toLowerCase() === lowerName);
  return at < 0 ? undefined : headers[at + 1];
};

/**
 * `User-Agent` and `Accept-Language` become the browser's, in place or before the key where browsers have them; other telling
 * headers go unless they are in `pass`. The order of the rest, and every `Sec-WebSocket-*`, stay the client's.
 */
export const dressHandshake = (
  headers: HeaderList,
  browser: Browser,
  pass: readonly string[],
): { headers: string[]; framed: boolean } => {
  const own = new Map([
    [AGENT, browser.userAgent],
    [LANGUAGE, valueIn(mannerOf(browser).always, LANGUAGE) ?? ''],
  ]);
  const written = new Set<string>();
  const out: string[] = [];
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] as string;
    const lower = name.toLowerCase();
    const kept = pass.includes(lower) || !tells(lower);
    const value = kept ? (headers[i + 1] as string) : own.get(lower);
    if (value === undefined || (!kept && written.has(lower))) continue;
    written.add(lower);
    out.push(name, value);
  }
  const missing: string[] = [];
  if (!written.has(AGENT)) missing.push('User-Agent', browser.userAgent);
  if (!written.has('accept-encoding')) missing.push('Accept-Encoding', 'identity');
  if (!written.has(LANGUAGE)) missing.push('Accept-Language', own.get(LANGUAGE) ?? '');
  const key = out.findIndex((name, i) => i % 2 === 0 && name.toLowerCase() === 'sec-websocket-key');
  out.splice(key < 0 ? out.length : key, 0, ...missing);
  return { headers: out, framed: false };
};
