/** What happens to a request that arrives: read, identified, then answered by an endpoint or run by the exchange. */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { type Condition, Refusal } from '../model/errors.ts';
import { lastValue } from '../model/headers.ts';
import type { Account, Job } from '../model/job.ts';
import { makeRequestBody, type RequestBody } from '../pipeline/body.ts';
import { asRefusal, type Exchange } from '../pipeline/exchange.ts';
import type { Clock, Endpoints, Ledger, Receipt, Reply } from '../pipeline/ports.ts';
import { makeStop, type StopButton } from '../pipeline/stop.ts';
import type { Authenticated } from '../policy/authenticate.ts';
import type { Forwarded } from '../policy/forward.ts';
import { type RefusalAnswer, refusalAnswer } from '../policy/refuse.ts';
import { clientBody } from './client-body.ts';
import type { Guesses } from './guesses.ts';
import { checkFraming, type Entrance, endToEnd, identify, locate, makeJob, type Place, WRONG_KEY } from './intake.ts';
import { type Link, linkOf } from './link.ts';
import { makeReply, rawAnswer } from './reply.ts';

export interface FrontPorts {
  readonly exchange: Exchange;
  readonly endpoints: Endpoints;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly guesses: Guesses;
  readonly version: string;
  entrance(): Entrance;
  /** The process is shutting down: answers close their connections. */
  draining(): boolean;
}

/** Bodies up to this size are read to their end after an early answer, so that the connection can go on. */
const DRAINABLE_BYTES = 65_536;

const idPrefix = randomBytes(6).toString('hex');
let idCount = 0;
/** Unique per request over all processes, cheap to make. */
const nextId = (): string => `${idPrefix}-${(++idCount).toString(36)}`;

/** A request on its way in: what is known of it when it has to be refused. */
interface Arrival {
  readonly id: string;
  readonly request: IncomingMessage;
  readonly link: Link;
  readonly reply: Reply;
  place: Place | undefined;
  known: Authenticated | undefined;
}

export const makeFront = (ports: FrontPorts) => {
  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    const link = linkOf(request.socket);
    // A pipelined request behind a malformed one: its connection is already on its way out.
    if (link.closing) return;
    void handle(request, response, link);
  };

  /** Never rejects. */
  const handle = async (request: IncomingMessage, response: ServerResponse, link: Link): Promise<void> => {
    const stop = makeStop();
    link.running.add(stop);
    const closing = (): boolean => link.closing || ports.draining() || hasUnreadBody(request);
    const reply = makeReply(response, ports.clock, closing);
    const arrival: Arrival = { id: nextId(), request, link, reply, place: undefined, known: undefined };
    try {
      await serve(arrival, response, stop);
    } catch (error) {
      refuse(arrival, error);
    }
    link.running.delete(stop);
  };

  /** In the order of H-07. */
  const serve = (arrival: Arrival, response: ServerResponse, stop: StopButton): Promise<void> | undefined => {
    const { request, link } = arrival;
    const { rawHeaders } = request;
    const entrance = ports.entrance();
    const place = locate(request.url ?? '', link, entrance.own);
    arrival.place = place;
    const forwarded = endToEnd(rawHeaders, place, link);
    checkFraming(request, forwarded);
    if (place.kind === 'endpoint') return direct(arrival, place.url, entrance, stop);
    const known = identify(rawHeaders, link, place, entrance);
    arrival.known = known;
    if (place.kind === 'nowhere') throw new Refusal('bad_uri', { reason: place.reason });
    const { method = 'GET' } = request;
    const { target, path } = place;
    const { tunnel, servername } = link;
    const { account, suffix } = known;
    const framed = forwarded.chunked || forwarded.contentLength !== undefined;
    const sent = { headers: rawHeaders, forwarded: forwarded.headers, framed };
    const job = makeJob({ ...sent, account, suffix, method, target, path, tunnel, servername }, entrance, arrival.id);
    // WebSocket upgrades are refused rather than left hanging; any other protocol is simply not taken up (T-18).
    if (forwarded.upgrade?.toLowerCase().includes('websocket')) throw new Refusal('no_upgrade');
    return ports.exchange(job, bodyOf(request, response, forwarded, job, entrance), arrival.reply, stop);
  };

  const direct = async (arrival: Arrival, url: string, entrance: Entrance, stop: StopButton): Promise<void> => {
    const { request, link, reply, id } = arrival;
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
    request: IncomingMessage,
    response: ServerResponse,
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

  const refuse = (arrival: Arrival, error: unknown): void => {
    const { request, link, reply, known, place } = arrival;
    const refusal = asRefusal(error);
    const { condition, detail } = refusal;
    if (condition === 'internal_error') ports.ledger.bug(error, 'front');
    if (UNREADABLE.has(condition)) link.closing = true;
    const answer = answerOf(refusal, known?.account, sessionSent(request, condition));
    const send = (): void => {
      if (condition === 'bad_auth' && place?.kind === 'endpoint') reply.send(challenge(answer, ports.entrance()), '');
      else reply.send(answer, answer.body);
    };
    ports.ledger.finished(receiptOf(arrival, answer.status, refusal));
    const waitMs = detail.reason === WRONG_KEY ? ports.guesses.wrong(link.remote) : 0;
    if (waitMs > 0) ports.clock.after(waitMs, send);
    else send();
  };

  const answerOf = (refusal: Refusal, account?: Account, session?: string): RefusalAnswer =>
    refusalAnswer(
      refusal,
      account?.dialect === 'spm' ? 'spm' : 'crawlera',
      { version: ports.version, exit: undefined, session, nextRequestInMs: undefined },
      ports.entrance().operatorContact,
    );

  /** Bytes that are no request: 400 or 413, and the connection closed (A01, T-11). */
  const onMalformed = (socket: Socket, code: string): void => {
    if (!socket.writable || code === 'ECONNRESET') {
      socket.destroy();
      return;
    }
    const condition = code === 'HPE_HEADER_OVERFLOW' ? 'headers_too_large' : 'invalid_request';
    const refusal = new Refusal(condition, { reason: code });
    const answer = answerOf(refusal);
    socket.end(rawAnswer(answer, answer.body, true));
    ports.ledger.finished(blankReceipt(refusal, answer.status, '?'));
  };

  /** A refused CONNECT (T-06, U-05). `keep` leaves the connection open for the next try. */
  const refuseConnect = (socket: Socket, refusal: Refusal, remote: string, keep: boolean): void => {
    const answer = answerOf(refusal);
    const write = (): void => {
      const text = rawAnswer(answer, answer.body, !keep);
      if (keep) socket.write(text);
      else socket.end(text);
    };
    ports.ledger.finished(blankReceipt(refusal, answer.status, 'CONNECT'));
    const waitMs = refusal.detail.reason === WRONG_KEY ? ports.guesses.wrong(remote) : 0;
    if (waitMs > 0) ports.clock.after(waitMs, write);
    else write();
  };

  return { onRequest, onMalformed, refuseConnect };
};

const UNREADABLE: ReadonlySet<Condition> = new Set(['invalid_request', 'headers_too_large']);

/** A body still on its way that is too long to be read for nothing: the connection closes after the answer. */
const hasUnreadBody = ({ complete, rawHeaders }: IncomingMessage): boolean => {
  if (complete) return false;
  if (lastValue(rawHeaders, 'transfer-encoding') !== undefined) return true;
  return Number(lastValue(rawHeaders, 'content-length') ?? 0) > DRAINABLE_BYTES;
};

/** The id a session request names, so that even an early error says which session it is about. */
const sessionSent = (request: IncomingMessage, condition: Condition): string | undefined => {
  if (condition === 'bad_auth') return undefined;
  const id = lastValue(request.rawHeaders, 'x-crawlera-session')?.trim();
  return id && /^\d{1,20}$/.test(id) ? id : undefined;
};

/** The same refusal with 401, for clients that cannot read a 407 (U-08). */
const challenge = (answer: RefusalAnswer, entrance: Entrance): RefusalAnswer => {
  if (entrance.authStatus === 407) return answer;
  const headers = answer.headers.map((name) => (name === 'Proxy-Authenticate' ? 'WWW-Authenticate' : name));
  return { ...answer, status: 401, reason: 'Unauthorized', headers };
};

const blankReceipt = (refusal: Refusal, status: number, method: string): Receipt => ({
  id: nextId(),
  job: undefined,
  account: undefined,
  method,
  website: undefined,
  status,
  outcome: refusal.condition,
  session: undefined,
  attempts: [],
  waitedMs: 0,
  tookMs: 0,
  bytes: 0,
  reason: refusal.detail.reason,
});

const receiptOf = (arrival: Arrival, status: number, refusal: Refusal | undefined): Receipt => ({
  ...blankReceipt(refusal ?? new Refusal('internal_error'), status, arrival.request.method ?? '?'),
  id: arrival.id,
  account: arrival.known?.account.id,
  website: arrival.place?.kind === 'target' ? arrival.place.target.website : undefined,
});
