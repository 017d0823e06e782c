/** What a leaf certificate may be issued for: host names and address literals, checked and in one spelling. */
import { isIP } from 'node:net';

export interface LeafName {
  readonly kind: 'dns' | 'ip';
  /** Lower case, no brackets, no trailing dot. */
  readonly text: string;
}

const MAX_NAME = 253;
const MAX_LABEL = 63;

/** Letters, digits, hyphen and underscore: names in use carry underscores although RFC 952 knows none. */
const isLabelChar = (code: number): boolean =>
  (code >= 97 && code <= 122) || (code >= 48 && code <= 57) || code === 45 || code === 95;

const isDnsName = (name: string): boolean => {
  if (name.length === 0 || name.length > MAX_NAME) return false;
  let label = 0;
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    if (code === 46) {
      if (label === 0) return false;
      label = 0;
    } else if (!isLabelChar(code) || ++label > MAX_LABEL) return false;
  }
  return label > 0;
};

const plain = (host: string): string => {
  const bare = host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
  return (bare.endsWith('.') ? bare.slice(0, -1) : bare).toLowerCase();
};

/** `undefined` for anything that is neither a host name nor an address: paths, control characters, empty labels, wildcards. */
export const leafName = (host: string): LeafName | undefined => {
  // Longest literal first: brackets, a trailing dot; never walk through a megabyte of nonsense.
  if (host.length > MAX_NAME + 2) return undefined;
  const text = plain(host);
  if (isIP(text) !== 0) return text.includes('%') ? undefined : { kind: 'ip', text };
  return isDnsName(text) ? { kind: 'dns', text } : undefined;
};

const groups = (part: string): number[] =>
  part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));

/** The 4 or 16 bytes of an address literal. */
export const addressBytes = (literal: string): Buffer => {
  if (isIP(literal) === 4) return Buffer.from(literal.split('.').map(Number));
  // The URL parser writes every IPv6 literal in hexadecimal groups, an embedded IPv4 part too.
  const [head = '', tail = ''] = new URL(`http://[${literal}]`).hostname.slice(1, -1).split('::');
  const first = groups(head);
  const last = groups(tail);
  const all = [...first, ...new Array<number>(8 - first.length - last.length).fill(0), ...last];
  return Buffer.from(all.flatMap((group) => [group >> 8, group & 0xff]));
};
