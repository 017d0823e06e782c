/** Where a request goes: from CONNECT authority or absolute URL to a `Target` (A11, B03 to B06). */
import type { Target } from '../model/job.ts';
import { normaliseHost } from './host.ts';

export { type Guard, type GuardRules, makeGuard } from './guard.ts';

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

export interface AbsoluteUrl extends HostPort {
  readonly scheme: Target['scheme'];
  /** Origin form, bytes as sent, without fragment. */
  readonly path: string;
}

const DEFAULT_PORT = { http: 80, https: 443 } as const;

const parsePort = (text: string): number | undefined => {
  if (text.length === 0 || text.length > 5) return undefined;
  let port = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return undefined;
    port = port * 10 + digit;
  }
  return port <= 65_535 ? port : undefined;
};

/**
 * `host:port` of a CONNECT or URL; IPv6 in brackets. Without a default the port has to be there.
 * `undefined` when it cannot be parsed: userinfo, path and control characters are never part of it (B01).
 */
export const parseAuthority = (text: string, defaultPort: number | undefined): HostPort | undefined => {
  const colon = text.lastIndexOf(':');
  const hasPort = colon > text.lastIndexOf(']');
  const portText = hasPort ? text.slice(colon + 1) : '';
  const port = portText === '' ? defaultPort : parsePort(portText);
  if (port === undefined) return undefined;
  const host = normaliseHost(hasPort ? text.slice(0, colon) : text);
  return host === undefined ? undefined : { host, port };
};

/** Nothing that could end a request line or be cut to a byte when written. */
const isClean = (text: string): boolean => {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code <= 0x20 || code === 0x7f || code > 0xff) return false;
  }
  return true;
};

const schemeOf = (url: string): 'http' | 'https' | 'bad_scheme' | undefined => {
  if (url.startsWith('http://')) return 'http';
  const colon = url.indexOf(':');
  if (colon <= 0) return undefined;
  const scheme = url.slice(0, colon).toLowerCase();
  if (scheme === 'http' || scheme === 'https') return url.startsWith('//', colon + 1) ? scheme : undefined;
  return /^[a-z][a-z0-9+.-]*$/.test(scheme) ? 'bad_scheme' : undefined;
};

const authorityEnd = (url: string, from: number): number => {
  for (let i = from; i < url.length; i++) {
    const code = url.charCodeAt(i);
    if (code === 0x2f || code === 0x3f || code === 0x23) return i;
  }
  return url.length;
};

const pathFrom = (url: string, from: number): string => {
  const hash = url.indexOf('#', from);
  const rest = hash < 0 ? url.slice(from) : url.slice(from, hash);
  if (rest === '') return '/';
  return rest.charCodeAt(0) === 0x3f ? `/${rest}` : rest;
};

/**
 * Takes an absolute URL apart. The path keeps its bytes; userinfo is dropped (B03), a fragment too.
 * `bad_scheme` for another scheme than http and https (B06), `undefined` for everything unusable.
 */
export const parseAbsolute = (url: string): AbsoluteUrl | 'bad_scheme' | undefined => {
  const scheme = schemeOf(url);
  if (scheme === undefined || scheme === 'bad_scheme') return scheme;
  const start = scheme.length + 3;
  const end = authorityEnd(url, start);
  const at = url.lastIndexOf('@', end - 1);
  const place = parseAuthority(url.slice(at < start ? start : at + 1, end), DEFAULT_PORT[scheme]);
  if (!place) return undefined;
  const path = pathFrom(url, end);
  return isClean(path) ? { scheme, host: place.host, port: place.port, path } : undefined;
};

/** `host` as parsed above. Website is the host name alone, http and https together. */
export const makeTarget = (scheme: Target['scheme'], host: string, port: number): Target => {
  const bracketed = host.includes(':') ? `[${host}]` : host;
  const authority = port === DEFAULT_PORT[scheme] ? bracketed : `${bracketed}:${port}`;
  return { scheme, host, port, website: host, authority };
};

/** The same place over https; port 80 becomes 443, another stays (H-20). */
export const withHttps = (target: Target): Target =>
  target.scheme === 'https' ? target : makeTarget('https', target.host, target.port === 80 ? 443 : target.port);
