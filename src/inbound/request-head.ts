/** Reads the head of a request, strictly: anything two parsers could read differently is refused (robustness A01 to A03). */
import { METHODS } from 'node:http';
import { isToken, lineEnd, STRAY_CONTROL, trimmed } from '../model/field-text.ts';
import { type FramingNotes, noteFraming } from '../model/framing-notes.ts';

/** Bytes that are no request. */
export class Malformed extends Error {
  /** More of a head than is taken (T-11). */
  readonly tooLarge: boolean;

  constructor(what: string, tooLarge = false) {
    super(what);
    this.tooLarge = tooLarge;
  }
}

export const malformed = (what: string): Malformed => new Malformed(what);

export interface RequestHead {
  readonly method: string;
  readonly url: string;
  readonly httpVersion: '1.0' | '1.1';
  /** Flat list as received. */
  readonly rawHeaders: readonly string[];
  readonly chunked: boolean;
  /** Announced body bytes; 0 without a body. */
  readonly length: number;
  /** The client keeps the connection open afterwards. */
  readonly keepAlive: boolean;
  /** `Expect: 100-continue` (T-17). */
  readonly expects: boolean;
}

const KNOWN_METHODS: ReadonlySet<string> = new Set(METHODS);

/** Whether a request may begin with this text, which may break off anywhere. */
export const canBegin = (text: string): boolean => {
  const space = text.indexOf(' ');
  return space === -1 ? METHODS.some((method) => method.startsWith(text)) : KNOWN_METHODS.has(text.slice(0, space));
};

interface Notes extends FramingNotes {
  expects: boolean;
}

const readFields = (text: string, from: number, headers: string[], notes: Notes): void => {
  let at = from;
  while (at < text.length) {
    const end = lineEnd(text, at);
    if (end === -1) throw malformed('line ending');
    const colon = text.indexOf(':', at);
    if (colon === -1 || colon > end || !isToken(text, at, colon)) throw malformed('header line');
    const name = text.slice(at, colon);
    const value = trimmed(text, colon + 1, end);
    headers.push(name, value);
    if (name.length === 6 && name.toLowerCase() === 'expect') notes.expects = value.toLowerCase() === '100-continue';
    else noteFraming(notes, name, value, malformed);
    at = end + 2;
  }
};

/** Anything but what a URL is written in. */
const NO_URL = /[^!-~]/;

/** `METHOD target HTTP/1.x`, one space between them. */
const readRequestLine = (text: string, end: number): Pick<RequestHead, 'method' | 'url' | 'httpVersion'> => {
  const first = text.indexOf(' ');
  const method = text.slice(0, first);
  if (first <= 0 || first > end || !KNOWN_METHODS.has(method)) throw malformed('method');
  const second = text.indexOf(' ', first + 1);
  if (second === -1 || second > end || second === first + 1 || second + 9 !== end) throw malformed('request line');
  if (!text.startsWith('HTTP/1.', second + 1)) throw malformed('version');
  const minor = text.charCodeAt(end - 1);
  if (minor !== 0x30 && minor !== 0x31) throw malformed('version');
  return { method, url: text.slice(first + 1, second), httpVersion: minor === 0x30 ? '1.0' : '1.1' };
};

/**
 * Reads a head: request line and fields, each line with its CRLF, without the blank line.
 * Throws `Malformed` on anything ambiguous.
 */
export const readRequestHead = (text: string): RequestHead => {
  const end = lineEnd(text, 0);
  if (end === -1) throw malformed('line ending');
  if (text.includes('\0') || STRAY_CONTROL.test(text)) throw malformed('control character');
  const { method, url, httpVersion } = readRequestLine(text, end);
  if (NO_URL.test(url)) throw malformed('URL');
  const rawHeaders: string[] = [];
  const notes: Notes = { length: undefined, chunked: false, close: false, keepAlive: false, expects: false };
  readFields(text, end + 2, rawHeaders, notes);
  if (notes.chunked && (httpVersion === '1.0' || notes.length !== undefined)) throw malformed('Transfer-Encoding');
  return {
    method,
    url,
    httpVersion,
    rawHeaders,
    chunked: notes.chunked,
    length: notes.length ?? 0,
    keepAlive: !notes.close && (httpVersion === '1.1' || notes.keepAlive),
    expects: notes.expects,
  };
};
