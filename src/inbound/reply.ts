/** Writes answers to clients: the only place that writes a status. */
import type { ServerResponse } from 'node:http';
import { TLSSocket } from 'node:tls';
import { Gone, Refusal } from '../model/errors.ts';
import type { BodySource, Clock, Delivery, Reply, ReplyHead, Stop, Timer } from '../pipeline/ports.ts';
import { lingerAtEnd } from './link.ts';

/** A head and body in one write for connections that are not, or no longer, in Node's hands. */
export const rawAnswer = (head: ReplyHead, body: string, close: boolean): string => {
  let text = `HTTP/1.1 ${head.status} ${head.reason}\r\n`;
  for (let i = 0; i < head.headers.length; i += 2) text += `${head.headers[i]}: ${head.headers[i + 1]}\r\n`;
  if (close) text += 'Connection: close\r\nProxy-Connection: close\r\n';
  return `${text}Content-Length: ${Buffer.byteLength(body, 'latin1')}\r\n\r\n${body}`;
};

/** Answers through Node's response. `closing`: this is the connection's last answer (T-20). */
export const makeReply = (response: ServerResponse, clock: Clock, closing: () => boolean): Reply => {
  response.sendDate = false;

  const writeHead = (head: ReplyHead, more: readonly string[]): void => {
    const headers = more.length === 0 ? (head.headers as string[]) : [...head.headers, ...more];
    if (closing() || !response.shouldKeepAlive) {
      headers.push('Connection', 'close', 'Proxy-Connection', 'close');
      if (!response.req.complete) lingerAtEnd(response.req.socket);
    }
    response.writeHead(head.status, head.reason, headers);
  };

  return {
    send(head, body) {
      // Too late to say anything: all that is left is to cut (E-10).
      if (response.headersSent) response.destroy();
      if (response.destroyed) return;
      // A 204 has no length to announce (RFC 9110, 8.6).
      writeHead(head, head.status === 204 ? [] : ['Content-Length', String(Buffer.byteLength(body))]);
      response.end(body);
    },

    stream(head, body, stop, maxBytes) {
      writeHead(head, []);
      return new Promise((resolve) => pour({ response, clock, body, stop, maxBytes }, resolve));
    },
  };
};

/** A client that takes nothing for this long has given up without saying so (robustness G01). */
const CLIENT_STALL_MS = 600_000;

/** Bodies up to this size are worth copying into one write with their head. */
const SMALL_BYTES = 8_192;

interface Pouring {
  readonly response: ServerResponse;
  readonly clock: Clock;
  readonly body: BodySource;
  readonly stop: Stop;
  readonly maxBytes: number;
}

/** What came is handed over, then the connection is cut. HTTP/1.0 has no other sign of an incomplete body than a reset (E-10). */
const cutOff = (response: ServerResponse): void => {
  const { httpVersion, socket } = response.req;
  response.flushHeaders();
  socket.uncork();
  if (httpVersion === '1.0' && !(socket instanceof TLSSocket)) socket.resetAndDestroy();
  else response.destroy();
};

/** The last bytes are on their way to a client that may never take them. */
const closeUnlessRead = (response: ServerResponse, clock: Clock): void => {
  const stall = clock.after(CLIENT_STALL_MS, () => response.destroy());
  response.once('close', () => stall.cancel());
};

/** Moves a body into a response with backpressure; a body that breaks cuts the connection (E-10). */
const pour = ({ response, clock, body, stop, maxBytes }: Pouring, done: (delivery: Delivery) => void): void => {
  let bytes = 0;
  let chunks = 0;
  let over = false;
  let stall: Timer | undefined;
  const finish = (failure: Error | undefined): void => {
    if (over) return;
    over = true;
    stall?.cancel();
    stop.listen(undefined);
    response.removeListener('drain', onDrain);
    if (failure) cutOff(response);
    else if (response.writableLength > 0) closeUnlessRead(response, clock);
    done({ bytes, failure });
  };
  const cut = (reason: Error): void => {
    body.abort();
    finish(reason);
  };
  const onDrain = (): void => {
    stall?.cancel();
    stall = undefined;
    body.resume();
  };
  const conclude = (): void => {
    if (over) return;
    response.end();
    finish(undefined);
  };
  response.on('drain', onDrain);
  stop.listen(cut);
  if (over) return;
  body.start({
    write(chunk) {
      if (over) return false;
      chunks++;
      bytes += chunk.length;
      if (bytes > maxBytes) {
        cut(new Refusal('data_error', { reason: `body over ${maxBytes} bytes` }));
        return false;
      }
      // As text, a small first piece joins the head in one string and one write.
      const text = chunks === 1 && chunk.length <= SMALL_BYTES;
      if (text ? response.write(chunk.toString('latin1'), 'latin1') : response.write(chunk)) return true;
      stall ??= clock.after(CLIENT_STALL_MS, () => cut(new Gone('client stopped reading')));
      return false;
    },
    end() {
      // Ended in the same turn, Node would write an empty piece behind a whole small body, which costs a vectored write.
      if (chunks === 1 && bytes <= SMALL_BYTES) process.nextTick(conclude);
      else conclude();
    },
    fail: finish,
  });
  // Node keeps the head back for the first bytes of the body, which may be long in coming.
  if (bytes === 0 && !over) response.flushHeaders();
};
