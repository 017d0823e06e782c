/** A 101: the response that gives its connection away, with whatever came right behind its head (T-18). */
import type { InboundResponse } from '../pipeline/ports.ts';
import type { Connection } from './connection.ts';
import type { ResponseHead } from './head.ts';

/** The connection is destroyed when its new owner destroys the socket, by `abort`, or when the transport closes. */
export const upgradedResponse = (connection: Connection, head: ResponseHead, requestMs: number): InboundResponse => {
  const socket = connection.handOut();
  return {
    status: head.status,
    reason: head.reason,
    headers: head.headers,
    length: 0,
    body: {
      start: (sink) => sink.end(),
      resume() {},
      abort: () => socket.destroy(),
    },
    requestMs,
    exit: connection.exit,
    reused: false,
    upgraded: socket,
  };
};
