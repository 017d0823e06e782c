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

/**
 * The last look before the wire (B01): as many line ends as lines were written, no control character but tab, nothing that
 * is no byte. One pass over the characters.
 */
const isSafe = (head: string, lines: number): boolean => {
  let ends = 0;
  for (let i = 0; i < head.length; i++) {
    const code = head.charCodeAt(i);
    if ((code > 31 && code < 256) || code === 9) continue;
    if (code !== 13 || head.charCodeAt(++i) !== 10) return false;
    ends++;
  }
  return ends === lines;
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
