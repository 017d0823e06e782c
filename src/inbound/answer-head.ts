/** Heads of answers as text: framing and what becomes of the connection are added to the headers given. */
import type { ReplyHead } from '../pipeline/ports.ts';
import type { RequestHead } from './request-head.ts';

export interface AnswerHead {
  /** Up to the blank line. */
  readonly text: string;
  readonly chunked: boolean;
  /** No body may follow, whatever the headers announce. */
  readonly bodyless: boolean;
  /** The connection ends with this answer. */
  readonly last: boolean;
}

const CLOSE_LINES = 'Connection: close\r\nProxy-Connection: close\r\n';

const linesOf = ({ status, reason, headers }: ReplyHead): string => {
  let text = `HTTP/1.1 ${status} ${reason}\r\n`;
  for (let i = 0; i < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`;
  return text;
};

const announcesLength = ({ headers }: ReplyHead): boolean => {
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    if (name.length === 14 && name.toLowerCase() === 'content-length') return true;
  }
  return false;
};

/** Just as given. */
export const bareHead = (head: ReplyHead): string => `${linesOf(head)}\r\n`;

/**
 * `length`: bytes of a whole body of ours; `undefined` = it streams, and `head` may announce its length.
 * Without a length HTTP/1.1 gets chunks, and HTTP/1.0 a body that ends with the connection (T-20, E-10).
 */
export const answerHead = (
  head: ReplyHead,
  { method, httpVersion, keepAlive }: RequestHead,
  length: number | undefined,
  isLast: boolean,
  keepLines: string,
): AnswerHead => {
  const { status } = head;
  const bodyless = method === 'HEAD' || status === 204 || status === 304;
  const framed = bodyless || length !== undefined || announcesLength(head);
  const chunked = !framed && httpVersion !== '1.0';
  const last = isLast || !keepAlive || (!framed && !chunked);
  let text = linesOf(head);
  if (length !== undefined) text += `Content-Length: ${length}\r\n`;
  text += last ? CLOSE_LINES : keepLines;
  if (chunked) text += 'Transfer-Encoding: chunked\r\n';
  return { text: `${text}\r\n`, chunked, bodyless, last };
};
