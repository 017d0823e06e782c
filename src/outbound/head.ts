/** Reads the head of a response, strictly: anything two parsers could read differently is refused. */
import { Fault } from '../model/errors.ts';
import { isDigit, isToken, lineEnd, STRAY_CONTROL, trimmed } from '../model/field-text.ts';
import { type FramingNotes, noteFraming } from '../model/framing-notes.ts';

export type Framing = 'none' | 'length' | 'chunked' | 'close';

export interface ResponseHead {
  readonly status: number;
  readonly reason: string;
  /** Flat list as received, but for control characters that no header value may hold. */
  readonly headers: readonly string[];
  readonly framing: Framing;
  /** Body bytes when known; 0 without a body. */
  readonly length: number | undefined;
  /** The sender keeps the connection open afterwards, as far as its head says. */
  readonly keepAlive: boolean;
  /** What `Keep-Alive: timeout` promises, in milliseconds. */
  readonly keepAliveMs: number | undefined;
}

const MAX_FIELDS = 2000;

/** A response nobody should guess about: `send_failed`, never retried silently (robustness A06). */
export const malformed = (what: string): Fault =>
  new Fault('send_failed', { headRead: true, sent: 'all', reason: `malformed response: ${what}` });

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
const STRAY_CONTROLS = /[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]/g;

interface Notes extends FramingNotes {
  keepAliveMs: number | undefined;
}

const noteTimeout = (notes: Notes, value: string): void => {
  const seconds = /(?:^|[\s,;])timeout\s*=\s*"?(\d{1,6})/i.exec(value)?.[1];
  if (seconds !== undefined) notes.keepAliveMs = Number(seconds) * 1000;
};

/** As `lineEnd`; throws where there is none. */
const endOfLine = (text: string, from: number): number => {
  const end = lineEnd(text, from);
  if (end === -1) throw malformed('line ending');
  return end;
};

const readStatus = (text: string, end: number): number => {
  const minor = text.charCodeAt(7);
  if (!text.startsWith('HTTP/1.') || (minor !== 48 && minor !== 49)) throw malformed('version');
  const status = Number(text.slice(9, 12));
  const after = text.charCodeAt(12);
  const shaped =
    end >= 12 &&
    text.charCodeAt(8) === 32 &&
    isDigit(text.charCodeAt(9)) &&
    isDigit(text.charCodeAt(10)) &&
    isDigit(text.charCodeAt(11)) &&
    (end === 12 || after === 32);
  if (!shaped || status < 100) throw malformed('status line');
  return status;
};

/** A value with control characters no header may hold taken out. */
const cleaned = (text: string, from: number, to: number): string => {
  const value = text.slice(from, to).replace(STRAY_CONTROLS, '');
  return trimmed(value, 0, value.length);
};

const readFields = (text: string, from: number, headers: string[], notes: Notes): void => {
  const stray = STRAY_CONTROL.test(text);
  let at = from;
  while (at < text.length) {
    const end = endOfLine(text, at);
    const colon = text.indexOf(':', at);
    if (colon === -1 || colon > end || !isToken(text, at, colon)) throw malformed('header line');
    const name = text.slice(at, colon);
    const value = stray ? cleaned(text, colon + 1, end) : trimmed(text, colon + 1, end);
    headers.push(name, value);
    if (name.length === 10 && name.toLowerCase() === 'keep-alive') noteTimeout(notes, value);
    else noteFraming(notes, name, value, malformed);
    if (headers.length > MAX_FIELDS * 2) throw malformed('too many fields');
    at = end + 2;
  }
};

const framingOf = (status: number, method: string, notes: Notes): Framing => {
  if (status < 200 || status === 204 || status === 304 || method === 'HEAD') return 'none';
  if (method === 'CONNECT' && status < 300) return 'none';
  if (notes.chunked) return 'chunked';
  return notes.length === undefined ? 'close' : notes.length === 0 ? 'none' : 'length';
};

/** 204 and 304 that announce bytes may send them: such a connection is not used again (robustness A06). */
const announcesForbiddenBody = (status: number, notes: Notes): boolean =>
  (status === 204 && (notes.chunked || (notes.length ?? 0) > 0)) || (status === 304 && notes.chunked);

/**
 * Reads a head: status line and fields, each line with its CRLF, without the blank line.
 * Throws `Fault` send_failed on anything ambiguous.
 */
export const readHead = (text: string, method: string): ResponseHead => {
  const end = endOfLine(text, 0);
  const status = readStatus(text, end);
  if (text.includes('\0')) throw malformed('NUL');
  const headers: string[] = [];
  const notes: Notes = { length: undefined, chunked: false, close: false, keepAlive: false, keepAliveMs: undefined };
  readFields(text, end + 2, headers, notes);
  const old = text.charCodeAt(7) === 48;
  if (notes.chunked && (old || notes.length !== undefined)) throw malformed('transfer-encoding');
  const framing = framingOf(status, method, notes);
  return {
    status,
    reason: cleaned(text, 13, end),
    headers,
    framing,
    length: framing === 'none' ? 0 : framing === 'length' ? notes.length : undefined,
    keepAlive:
      framing !== 'close' && !notes.close && (!old || notes.keepAlive) && !announcesForbiddenBody(status, notes),
    keepAliveMs: notes.keepAliveMs,
  };
};
