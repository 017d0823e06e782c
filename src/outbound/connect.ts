/** The CONNECT handshake with an http or https upstream (A-04, B05, G03). */
import type { Socket } from 'node:net';
import { type Condition, Fault } from '../model/errors.ts';
import { proxyAnswerFault, targetFault } from './faults.ts';
import type { ResponseHead } from './head.ts';
import type { Lifeline } from './lifeline.ts';
import { ResponseParser } from './response-parser.ts';
import { hostAndPort, type Route } from './route.ts';
import { converse, type Reader } from './steps.ts';

const STEP = 'CONNECT';
/** A reply has a handful of fields; what sends more is no proxy. */
const MAX_REPLY_BYTES = 16_384;
/** What a refusal may say about the target, or (`noslaves`) about the upstream itself; anything else is `ehostunreach`. */
const TELLING: ReadonlySet<Condition> = new Set(['noslaves', 'nxdomain', 'econnrefused']);

const unreadable = (error: unknown): Error =>
  new Fault('ehostunreach', { reason: `${STEP}: unreadable reply`, cause: error });

/** A fresh parser over all bytes so far keeps this simple; `received` is small and bounded. */
const readReply: Reader<ResponseHead> = (received) => {
  const parser = new ResponseParser(MAX_REPLY_BYTES);
  parser.begin('CONNECT');
  try {
    if (!parser.takeHead(received) || !parser.head) return undefined;
  } catch (error) {
    throw unreadable(error);
  }
  return { value: parser.head, used: received.length - parser.rest.length };
};

/** Asks for a tunnel to the route's target. Names go unresolved; nothing but the credentials is revealed. */
export const openTunnel = async (line: Lifeline, socket: Socket, route: Route): Promise<void> => {
  const authority = hostAndPort(route.target.host, route.target.port);
  const credentials = route.authorization === undefined ? '' : `Proxy-Authorization: ${route.authorization}\r\n`;
  const request = `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${credentials}\r\n`;
  const reply = await converse(line, socket, request, readReply, (error) => targetFault(STEP, error));
  if (reply.status >= 200 && reply.status <= 299) return;
  const fault = proxyAnswerFault(STEP, reply.status, reply.headers);
  if (fault && TELLING.has(fault.condition)) throw fault;
  throw new Fault('ehostunreach', { reason: `${STEP}: refused with ${reply.status}` });
};
