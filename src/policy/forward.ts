/** What crosses the proxy: end-to-end headers of requests and responses, in order and case (section 4, A08, A09, A11). */
import { looksLikeControl } from '../model/controls.ts';
import type { HeaderList } from '../model/headers.ts';
import { isOurs, joined, type Kind, kindOf, nominatedBy, withoutNominated } from './hop-by-hop.ts';

export interface Forwarded {
  /** End-to-end headers with `Host` in its place; framing stays where the client had it, `Expect` and controls are out. */
  readonly headers: string[];
  readonly contentLength: number | undefined;
  readonly chunked: boolean;
  /** How many `Host` headers were sent. */
  readonly hosts: number;
  /** The first `Host` as sent. */
  readonly host: string | undefined;
  /** Value of `Expect` as sent (T-17). */
  readonly expect: string | undefined;
  /** Value of `Upgrade` as sent (T-18). */
  readonly upgrade: string | undefined;
  /** Why the framing or `Host` cannot be trusted; the request is refused then (A01, A03). */
  readonly malformed: string | undefined;
}

const parseLength = (value: string): number | undefined => {
  const text = value.trim();
  if (text.length === 0 || text.length > 15) return undefined;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x30 || code > 0x39) return undefined;
  }
  return Number(text);
};

/** State of one pass over a request's headers. */
interface Pass {
  headers: string[];
  hosts: number;
  host: string | undefined;
  expect: string | undefined;
  upgrade: string | undefined;
  lengths: string | undefined;
  coding: string | undefined;
  malformed: string | undefined;
  nominated: string[] | undefined;
}

const take = (pass: Pass, kind: Kind, name: string, value: string, authority: string): void => {
  switch (kind) {
    case 'host':
      if (pass.hosts++ === 0) {
        pass.host = value;
        pass.headers.push(name, authority);
      } else pass.malformed = 'two Host headers';
      return;
    case 'length':
      if (pass.lengths === undefined) {
        pass.lengths = value;
        pass.headers.push(name, value.trim());
      } else pass.malformed = 'two Content-Length headers';
      return;
    case 'coding':
      if (pass.coding === undefined) {
        pass.coding = value.trim().toLowerCase();
        pass.headers.push(name, 'chunked');
      } else pass.malformed = 'two Transfer-Encoding headers';
      return;
    case 'connection':
      pass.nominated = joined(pass.nominated, nominatedBy(value));
      return;
    case 'expect':
      pass.expect = value;
      return;
    case 'upgrade':
      pass.upgrade = value;
      return;
    case 'drop':
      return;
  }
};

const framingFault = (pass: Pass, length: number | undefined): string | undefined => {
  if (pass.malformed !== undefined) return pass.malformed;
  if (pass.lengths !== undefined && length === undefined) return 'unusable Content-Length';
  if (pass.coding === undefined) return undefined;
  if (pass.coding !== 'chunked') return 'unsupported Transfer-Encoding';
  return pass.lengths === undefined ? undefined : 'Content-Length with Transfer-Encoding';
};

/**
 * Headers of a request as its target shall see them. `authority` is written into `Host`, in place, or as first header
 * when the client sent none (A11). Nothing is ever added beside it (F-02).
 */
export const forwardedHeaders = (raw: HeaderList, authority: string): Forwarded => {
  const pass: Pass = {
    headers: [],
    hosts: 0,
    host: undefined,
    expect: undefined,
    upgrade: undefined,
    lengths: undefined,
    coding: undefined,
    malformed: undefined,
    nominated: undefined,
  };
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] as string;
    const kind = kindOf(name);
    if (kind !== undefined) take(pass, kind, name, raw[i + 1] as string, authority);
    else if (!looksLikeControl(name)) pass.headers.push(name, raw[i + 1] as string);
  }
  const headers = pass.nominated ? withoutNominated(pass.headers, pass.nominated) : pass.headers;
  if (pass.hosts === 0) headers.unshift('Host', authority);
  const contentLength = pass.lengths === undefined ? undefined : parseLength(pass.lengths);
  return {
    headers,
    contentLength,
    chunked: pass.coding === 'chunked',
    hosts: pass.hosts,
    host: pass.host,
    expect: pass.expect,
    upgrade: pass.upgrade,
    malformed: framingFault(pass, contentLength),
  };
};

/** `Transfer-Encoding` outranks a length, wherever it stands. */
const withoutLength = (headers: string[], lengthAt: number): number => {
  if (lengthAt >= 0) headers.splice(lengthAt, 2);
  return -2;
};

/** What is neither framing, hop-by-hop nor ours. */
const crosses = (kind: Kind | undefined, name: string): boolean =>
  kind === undefined ? !isOurs(name) : kind === 'host' || kind === 'expect';

/**
 * Headers of a response as the client shall see them: hop-by-hop fields out (A09), ours out (F-06), the rest untouched.
 * `Content-Length` is kept once, unless `keepLength` is false or the target announced another framing.
 */
export const answerHeaders = (raw: HeaderList, keepLength: boolean): string[] => {
  const headers: string[] = [];
  let nominated: string[] | undefined;
  let lengthAt = keepLength ? -1 : -2;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] as string;
    const kind = kindOf(name);
    if (crosses(kind, name)) headers.push(name, raw[i + 1] as string);
    else if (kind === 'connection') nominated = joined(nominated, nominatedBy(raw[i + 1] as string));
    else if (kind === 'length' && lengthAt === -1) lengthAt = headers.push(name, raw[i + 1] as string) - 2;
    else if (kind === 'coding') lengthAt = withoutLength(headers, lengthAt);
  }
  return nominated ? withoutNominated(headers, nominated) : headers;
};
