/** Answers of ours as text, for connections on which no request is being answered. */
import type { ReplyHead } from '../pipeline/ports.ts';

/** A head and body in one write for connections that are not, or no longer, in Node's hands. */
export const rawAnswer = (head: ReplyHead, body: string, close: boolean): string => {
  let text = `HTTP/1.1 ${head.status} ${head.reason}\r\n`;
  for (let i = 0; i < head.headers.length; i += 2) text += `${head.headers[i]}: ${head.headers[i + 1]}\r\n`;
  if (close) text += 'Connection: close\r\nProxy-Connection: close\r\n';
  return `${text}Content-Length: ${Buffer.byteLength(body, 'latin1')}\r\n\r\n${body}`;
};
