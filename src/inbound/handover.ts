/** A connection whose client asks for another protocol: taken from Node's parser, then switched (T-18) or given back to it. */
import { type IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { allValues, countOf, type HeaderList, lastValue } from '../model/headers.ts';
import type { Clock, Delivery, ReplyHead, Stop } from '../pipeline/ports.ts';
import { hasOption } from '../policy/upgrade.ts';
import { linger, linkOf } from './link.ts';
import { splice } from './splice.ts';

export interface Handover {
  /** For every answer but a 101. */
  readonly response: ServerResponse;
  /** See `Reply.upgrade`. */
  upgrade(head: ReplyHead, target: Duplex, stop: Stop): Promise<Delivery>;
  /** Once its answer is written the connection is Node's again, with what the client sent meanwhile. */
  giveBack(): void;
}

/** What a client may send before it is answered; beyond that it has to wait. */
const EARLY_BYTES = 65_536;

const hasBody = (headers: HeaderList): boolean =>
  countOf(headers, 'transfer-encoding') > 0 || Number(lastValue(headers, 'content-length') ?? 0) !== 0;

/**
 * Only a request without body: Node cannot tell what it has read of a body from what follows. Behind requests still to be
 * answered it cannot be answered in order, nor can what follows it, which Node drops: their answers are the connection's last.
 */
export const mayHandOver = ({ httpVersion, rawHeaders, socket }: IncomingMessage): boolean => {
  if (httpVersion !== '1.1' || hasBody(rawHeaders)) return false;
  const link = linkOf(socket);
  link.closing ||= link.running.size > 0;
  return !link.closing;
};

/** What the client sends before its answer, kept up to a limit; its leaving is noticed meanwhile (T-19). */
const holdEarly = (socket: Socket, head: Buffer): { release(): Buffer[] } => {
  const held = head.length > 0 ? [head] : [];
  let size = head.length;
  const hold = (chunk: Buffer): void => {
    held.push(chunk);
    size += chunk.length;
    if (size >= EARLY_BYTES) socket.pause();
  };
  socket.on('data', hold);
  return {
    release() {
      socket.off('data', hold);
      socket.pause();
      return held;
    },
  };
};

const headText = ({ status, reason, headers }: ReplyHead): string => {
  let text = `HTTP/1.1 ${status} ${reason}\r\n`;
  for (let i = 0; i < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`;
  return `${text}\r\n`;
};

function breakOff(this: Socket): void {
  this.destroy();
}

/** `feed` serves a connection as HTTP; one that goes on is closed after `idleMs` without a request. */
export const takeOver = (
  request: IncomingMessage,
  head: Buffer,
  clock: Clock,
  idleMs: number,
  feed: (socket: Socket) => void,
): Handover => {
  const { socket } = request;
  if (!socket.listeners('error').includes(breakOff)) socket.on('error', breakOff);
  const early = holdEarly(socket, head);
  const response = new ServerResponse(request);
  response.shouldKeepAlive = !allValues(request.rawHeaders, 'connection').some((value) => hasOption(value, 'close'));
  response.assignSocket(socket);
  // Its requests are given up by its link; nobody answers it any more.
  const leave = (): void => linger(socket);
  const drained = (): void => {
    if (response.writableNeedDrain) response.emit('drain');
  };
  socket.on('drain', drained).once('end', leave);

  const release = (): Buffer[] => {
    response.detachSocket(socket);
    socket.off('drain', drained).off('end', leave);
    return early.release();
  };

  const goOn = (): void => {
    const held = release();
    if (linkOf(socket).closing || socket.readableEnded || !response.shouldKeepAlive) {
      linger(socket);
      return;
    }
    if (held.length > 0) socket.unshift(Buffer.concat(held));
    feedLater(socket, idleMs, feed);
  };

  return {
    response,
    upgrade(switching, target, stop) {
      const held = release();
      if (stop.reason) {
        target.destroy();
        return Promise.resolve({ bytes: 0, failure: stop.reason });
      }
      stop.listen(undefined);
      socket.write(headText(switching), 'latin1');
      return splice(socket, target, held, clock);
    },
    giveBack() {
      if (socket.destroyed) return;
      if (response.writableFinished) goOn();
      else response.once('finish', goOn);
    },
  };
};

/** With the first byte: before that Node would give a quiet connection no longer than it gives a head. */
const feedLater = (socket: Socket, idleMs: number, feed: (socket: Socket) => void): void => {
  const leave = (): void => linger(socket);
  const expire = (): void => {
    socket.destroy();
  };
  socket.setTimeout(idleMs, expire);
  socket.once('end', leave);
  socket.once('data', (first: Buffer) => {
    socket.pause();
    socket.off('end', leave).off('timeout', expire).setTimeout(0);
    socket.unshift(first);
    feed(socket);
    socket.resume();
  });
  socket.resume();
};
