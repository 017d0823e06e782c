/** What happens to a request that arrives: read, identified, then answered by an endpoint or run by the exchange. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Refusal } from '../model/errors.ts';
import { lastValue } from '../model/headers.ts';
import type { Job } from '../model/job.ts';
import { makeRequestBody, type RequestBody } from '../pipeline/body.ts';
import type { Exchange } from '../pipeline/exchange.ts';
import type { Endpoints } from '../pipeline/ports.ts';
import { makeStop } from '../pipeline/stop.ts';
import type { Forwarded } from '../policy/forward.ts';
import { handshakeHeaders, namesWebSocket } from '../policy/upgrade.ts';
import { clientBody } from './client-body.ts';
import type { Streamed } from './h2.ts';
import type { Handover } from './handover.ts';
import { checkFraming, type Entrance, endToEnd, identify, locate, makeJob } from './intake.ts';
import { type Link, linger, linkOf } from './link.ts';
import { makeReply } from './reply.ts';
import { type Arrival, type ClientRequest, makeTurnAway, nextId, receiptOf, type TurnAwayPorts } from './turn-away.ts';

export interface FrontPorts extends TurnAwayPorts {
  readonly exchange: Exchange;
  readonly endpoints: Endpoints;
  /** The process is shutting down: answers close their connections. */
  draining(): boolean;
}

/** Where `100 Continue` is written. */
interface Continuing {
  writeContinue(): void;
}

/** Bodies up to this size are read to their end after an early answer, so that the connection can go on. */
const DRAINABLE_BYTES = 65_536;

export const makeFront = (ports: FrontPorts) => {
  const turnAway = makeTurnAway(ports);

  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    const link = linkOf(request.socket);
    // A pipelined request behind a malformed one: its connection is already on its way out.
    if (link.closing) return;
    void handle(request, response, link, undefined);
  };

  /** A request whose connection may leave HTTP (T-18); answered otherwise, the connection goes on. */
  const onUpgrade = (request: IncomingMessage, handover: Handover): void => {
    void handle(request, handover.response, linkOf(request.socket), handover);
  };

  /** Never rejects. */
  const handle = async (
    request: IncomingMessage,
    response: ServerResponse,
    link: Link,
    handover: Handover | undefined,
  ): Promise<void> => {
    const stop = makeStop();
    link.running.add(stop);
    const closing = (): boolean => {
      link.closing ||= ports.draining() || hasUnreadBody(request);
      return link.closing;
    };
    const plain = makeReply(response, ports.clock, closing);
    const reply = handover ? { ...plain, upgrade: handover.upgrade } : plain;
    const arrival: Arrival = { id: nextId(), request, link, reply, stop, place: undefined, known: undefined };
    link.last = arrival;
    try {
      await serve(arrival, response);
    } catch (error) {
      await turnAway.request(arrival, error);
    }
    link.running.delete(stop);
    if (link.running.size > 0) return;
    if (link.closing) linger(request.socket);
    else if (ports.draining()) closeOnceSent(request, response);
    else handover?.giveBack();
  };

  /** A request of an HTTP/2 stream (T-08): its connection is not its own and outlives it. Never rejects. */
  const onStream = async (streamed: Streamed): Promise<void> => {
    const { request, link, reply, stop, flaw } = streamed;
    const arrival: Arrival = { id: nextId(), request, link, reply, stop, place: undefined, known: undefined };
    try {
      if (flaw) throw flaw;
      await serve(arrival, streamed);
    } catch (error) {
      await turnAway.request(arrival, error);
    }
  };

  /** In the order of H-07. */
  const serve = (arrival: Arrival, response: Continuing): Promise<void> | undefined => {
    const { request, link, stop } = arrival;
    const { rawHeaders } = request;
    const entrance = ports.entrance();
    const place = locate(request.url ?? '', link, entrance.own);
    arrival.place = place;
    const forwarded = endToEnd(rawHeaders, place);
    checkFraming(request, forwarded);
    if (place.kind === 'endpoint') return direct(arrival, place.url, entrance);
    const known = identify(rawHeaders, link, place, entrance);
    arrival.known = known;
    if (place.kind === 'nowhere') throw new Refusal('bad_uri', { reason: place.reason });
    const webSocket = forwarded.upgrade !== undefined && namesWebSocket(forwarded.upgrade);
    // Field by field: spreading objects here costs more than everything else in this function.
    const job = makeJob(
      {
        account: known.account,
        suffix: known.suffix,
        method: request.method ?? 'GET',
        target: place.target,
        path: place.path,
        headers: rawHeaders,
        forwarded: webSocket ? handshakeHeaders(rawHeaders, forwarded.headers) : forwarded.headers,
        framed: forwarded.chunked || forwarded.contentLength !== undefined,
        webSocket,
        tunnel: link.tunnel,
        servername: link.servername,
      },
      entrance,
      arrival.id,
    );
    // Refused rather than left hanging where the connection cannot be switched; any other protocol is simply not taken up.
    if (webSocket && (!arrival.reply.upgrade || request.method !== 'GET')) throw new Refusal('no_upgrade');
    return ports.exchange(job, bodyOf(request, response, forwarded, job, entrance), arrival.reply, stop);
  };

  const direct = async (arrival: Arrival, url: string, entrance: Entrance): Promise<void> => {
    const { request, link, reply, id, stop } = arrival;
    const { method = 'GET', rawHeaders } = request;
    const endpoint = ports.endpoints.find(method, url, rawHeaders);
    if (!endpoint?.open) arrival.known = identify(rawHeaders, link, { kind: 'endpoint', url }, entrance);
    if (!endpoint) throw new Refusal('bad_endpoint');
    const result = await endpoint.run(arrival.known, id);
    if ('target' in result) return ports.exchange(result, undefined, reply, stop);
    const headers = [...result.headers, 'X-Crawlera-Version', ports.version];
    reply.send({ status: result.status, reason: result.reason, headers }, result.body);
    ports.ledger.finished({ ...receiptOf(arrival, result.status, undefined), outcome: 'ok' });
  };

  const bodyOf = (
    request: ClientRequest,
    response: Continuing,
    forwarded: Forwarded,
    job: Job,
    entrance: Entrance,
  ): RequestBody | undefined => {
    const { chunked, contentLength = 0, expect } = forwarded;
    if (!chunked && contentLength === 0) return undefined;
    const waits = expect !== undefined && expect.trim().toLowerCase() === '100-continue';
    const onStart = waits && request.httpVersion === '1.1' ? () => response.writeContinue() : undefined;
    const limits = { keepBytes: entrance.replayBytes, stallMs: job.controls.timeoutMs };
    return makeRequestBody(clientBody(request, onStart), chunked ? undefined : contentLength, limits, ports.clock);
  };

  return { onRequest, onUpgrade, onStream, onMalformed: turnAway.malformed, refuseConnect: turnAway.connect };
};

/** The head went out before the shutdown began and promised to go on: the connection closes after the body (T-20). */
const closeOnceSent = ({ socket }: IncomingMessage, response: ServerResponse): void => {
  if (response.writableFinished) linger(socket);
  else response.once('finish', () => linger(socket));
};

/** A body still on its way that is too long to be read for nothing: the connection closes after the answer. */
const hasUnreadBody = ({ complete, rawHeaders }: IncomingMessage): boolean => {
  if (complete) return false;
  if (lastValue(rawHeaders, 'transfer-encoding') !== undefined) return true;
  // Refused before it was asked for its body, such a client may send it or leave it out (T-17).
  if (lastValue(rawHeaders, 'expect') !== undefined) return true;
  return Number(lastValue(rawHeaders, 'content-length') ?? 0) > DRAINABLE_BYTES;
};
