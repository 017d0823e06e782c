/** Writes a request head: the caller's header lines untouched and in order (F-04), framing and credentials after them. */
import { Fault } from '../model/errors.ts';
import type { OutboundBody, OutboundRequest } from '../pipeline/ports.ts';
import type { Route } from './route.ts';

/** Without a body these still announce one of 0 bytes: many servers answer 411 otherwise (T-13). */
const EXPECTS_BODY = new Set(['POST', 'PUT', 'PATCH']);

const framingLine = (method: string, body: OutboundBody | undefined): string => {
  if (body === undefined) return EXPECTS_BODY.has(method) ? 'Content-Length: 0\r\n' : '';
  return body.length === undefined ? 'Transfer-Encoding: chunked\r\n' : `Content-Length: ${body.length}\r\n`;
};

/** How often a character stands in a text; searched natively. */
const count = (text: string, character: string): number => {
  let found = 0;
  for (let at = text.indexOf(character); at >= 0; at = text.indexOf(character, at + 1)) found++;
  return found;
};

const WIDE = /[\u0100-\uffff]/;

/**
 * The last look before the wire (B01): as many line ends as lines were written, no stray CR, LF or NUL, nothing that would
 * lose bits as latin1, and nothing in the request line that would make it two.
 */
const isSafe = (head: string, lines: number): boolean => {
  if (head.includes('\0') || WIDE.test(head)) return false;
  if (count(head, '\r\n') !== lines || count(head, '\n') !== lines || count(head, '\r') !== lines) return false;
  return count(head.slice(0, head.indexOf('\r\n')), ' ') === 2;
};

/** Throws `Fault` invalid_request for a head that would not mean the same to everyone. */
export const writeHead = (request: OutboundRequest, route: Route): string => {
  const { method, path, headers, body } = request;
  const framing = request.framed ? '' : framingLine(method, body);
  let lines = 2 + headers.length / 2;
  let head = route.forwarded
    ? `${method} http://${request.target.authority}${path} HTTP/1.1\r\n`
    : `${method} ${path} HTTP/1.1\r\n`;
  for (let i = 0; i < headers.length; i += 2) head += `${headers[i]}: ${headers[i + 1]}\r\n`;
  if (framing !== '') {
    head += framing;
    lines++;
  }
  if (route.forwarded && route.authorization !== undefined) {
    head += `Proxy-Authorization: ${route.authorization}\r\n`;
    lines++;
  }
  head += '\r\n';
  if (!isSafe(head, lines) || path.includes(' ') || method.includes(' '))
    throw new Fault('invalid_request', { reason: 'unsafe request head' });
  return head;
};
