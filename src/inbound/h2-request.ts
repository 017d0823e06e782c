/** Requests of HTTP/2 streams in the words of HTTP/1.1, in which they go on: pseudo headers, cookie crumbs, framing, body (T-08). */
import type { ServerHttp2Stream } from 'node:http2';
import { Readable } from 'node:stream';
import type { HeaderList } from '../model/headers.ts';

/** A request whose body is read as a stream. */
export type StreamRequest = Readable & {
  readonly method: string;
  readonly url: string;
  readonly httpVersion: string;
  readonly rawHeaders: readonly string[];
  complete: boolean;
};

/** A request head as HTTP/1.1 would have brought it. */
export interface StreamHead {
  readonly method: string;
  /** Origin form, or absolute for a scheme other than https, which is then judged like any absolute URL in a tunnel. */
  readonly url: string;
  readonly rawHeaders: string[];
  /** Of the URL, names and values (T-11). */
  readonly bytes: number;
}

/** HTTP/1.1's words for the connection; some of them would change the framing. */
const FORBIDDEN: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
]);

const titleCase = (lowerName: string): string => lowerName.replace(/(^|-)[a-z]/g, (start) => start.toUpperCase());

/** Names that browsers write with capitals over HTTP/1.1. HTTP/2 knows none, and in lower case they would look made up (F-04). */
const SPELLED: ReadonlyMap<string, string> = new Map([
  ...[
    'accept accept-encoding accept-language access-control-request-headers access-control-request-method authorization',
    'cache-control content-encoding content-language content-length content-type cookie expect host if-match',
    'if-modified-since if-none-match if-range if-unmodified-since last-event-id origin pragma priority purpose range referer',
    'sec-fetch-dest sec-fetch-mode sec-fetch-site sec-fetch-storage-access sec-fetch-user sec-gpc sec-purpose',
    'upgrade-insecure-requests user-agent x-requested-with',
  ]
    .join(' ')
    .split(' ')
    .map((name) => [name, titleCase(name)] as const),
  ['dnt', 'DNT'],
]);

const isClean = (text: string): boolean => {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code <= 0x20 || code === 0x7f) return false;
  }
  return true;
};

const isToken = (text: string): boolean => /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(text);

interface Pseudo {
  [':method']?: string;
  [':scheme']?: string;
  [':authority']?: string;
  [':path']?: string;
}

const PSEUDO: readonly string[] = [':method', ':scheme', ':authority', ':path'] satisfies (keyof Pseudo)[];

interface Fields {
  readonly pseudo: Pseudo;
  readonly headers: string[];
  host: string | undefined;
  /** Where the one `Cookie` line has its value. */
  cookieAt: number;
  framed: boolean;
}

/** False for a field that makes the whole request malformed. */
const take = (fields: Fields, name: string, value: string): boolean => {
  if (name.startsWith(':')) {
    if (!PSEUDO.includes(name) || !isClean(value)) return false;
    fields.pseudo[name as keyof Pseudo] = value;
    return true;
  }
  if (FORBIDDEN.has(name)) return false;
  if (name === 'host') {
    if (fields.host !== undefined) return false;
    fields.host = value;
    return true;
  }
  if (name === 'content-length') fields.framed = true;
  if (name === 'cookie' && fields.cookieAt >= 0) {
    fields.headers[fields.cookieAt] += `; ${value}`;
    return true;
  }
  fields.headers.push(SPELLED.get(name) ?? name, value);
  if (name === 'cookie') fields.cookieAt = fields.headers.length - 1;
  return true;
};

const urlOf = ({ pseudo }: Fields): string | undefined => {
  const { ':scheme': scheme = '', ':authority': authority = '', ':path': path = '' } = pseudo;
  if (path !== '*' && !path.startsWith('/')) return undefined;
  return scheme === 'https' ? path : `${scheme}://${authority}${path}`;
};

/**
 * `undefined` for a request that is malformed or could be read in two ways: its stream is reset (robustness A10).
 * Nearly all of that nghttp2 has refused before; `CONNECT` in a tunnel has no path and ends here too.
 * `ended`: no body follows.
 */
export const readStreamHead = (raw: HeaderList, ended: boolean): StreamHead | undefined => {
  const fields: Fields = { pseudo: {}, headers: [], host: undefined, cookieAt: -1, framed: false };
  let bytes = 0;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] as string;
    const value = raw[i + 1] as string;
    bytes += name.length + value.length;
    if (!take(fields, name, value)) return undefined;
  }
  const { ':method': method = '', ':authority': authority } = fields.pseudo;
  const url = urlOf(fields);
  if (url === undefined || !isToken(method)) return undefined;
  const { host = authority, headers, framed } = fields;
  if (authority !== undefined && host?.toLowerCase() !== authority.toLowerCase()) return undefined;
  if (host !== undefined) headers.unshift('Host', host);
  if (!ended && !framed) headers.push('Transfer-Encoding', 'chunked');
  return { method, url, rawHeaders: withoutPriority(headers), bytes };
};

/** Chromium names a priority over HTTP/2 only: beside its client hints it would give the way it came away. */
const withoutPriority = (headers: string[]): string[] => {
  const at = headers.indexOf('Priority');
  if (at >= 0 && headers.includes('sec-ch-ua')) headers.splice(at, 2);
  return headers;
};

const BUFFER_BYTES = 65_536;

/** The stream as a request. Nothing of its body is read before somebody wants it; one that was reset fails, never ends. */
export const streamRequest = (stream: ServerHttp2Stream, head: StreamHead, ended: boolean): StreamRequest => {
  let started = false;
  const follow = (): void => {
    started = true;
    stream.on('data', (chunk: Buffer) => {
      if (!body.push(chunk)) stream.pause();
    });
  };
  const body = new Readable({
    highWaterMark: BUFFER_BYTES,
    read: () => {
      if (started) stream.resume();
      else follow();
    },
  });
  body.on('error', () => undefined);
  // From the start: an empty body ends without being read.
  stream.once('end', () => {
    if (stream.aborted || ended) return;
    request.complete = true;
    body.push(null);
  });
  stream.once('aborted', () => body.destroy(new Error('the stream was reset')));
  const { method, url, rawHeaders } = head;
  const request = Object.assign(body, { method, url, rawHeaders, httpVersion: '1.1', complete: ended });
  return request;
};
