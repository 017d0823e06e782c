/** What happens to a request that arrives: read, identified, then answered by an endpoint or run by the exchange. */
import { Refusal } from '../model/errors.ts';
import { allValues, lastValue } from '../model/headers.ts';
import type { Job } from '../model/job.ts';
import { makeRequestBody, type RequestBody } from '../pipeline/body.ts';
import type { Exchange } from '../pipeline/exchange.ts';
import type { BodySource, Endpoints } from '../pipeline/ports.ts';
import { makeStop } from '../pipeline/stop.ts';
import type { Forwarded } from '../policy/forward.ts';
import { handshakeHeaders, hasOption, namesWebSocket } from '../policy/upgrade.ts';
import type { Answer } from './answer.ts';
import { clientBody } from './client-body.ts';
import type { ClientRequest } from './client-request.ts';
import type { Streamed } from './h2.ts';
import { checkFraming, type Entrance, endToEnd, identify, locate, makeJob } from './intake.ts';
import { linger, linkOf } from './link.ts';
import { type Arrival, makeTurnAway, nextId, receiptOf, type TurnAwayPorts } from './turn-away.ts';

export interface FrontPorts extends TurnAwayPorts {
  readonly exchange: Exchange;
  readonly endpoints: Endpoints;
  /** The process is shutting down: answers close their connections. */
  draining(): boolean;
}

/** Bodies up to this size are read to their end after an early answer, so that the connection can go on. */
const DRAINABLE_BYTES = 65_536;

export const makeFront = (ports: FrontPorts) => {
  const turnAway = makeTurnAway(ports);

  const onRequest = (request: ClientRequest, body: BodySource, answer: Answer): void => {
    void handle(request, body, answer);
  };

  /** Never rejects. */
  const handle = async (request: ClientRequest, body: BodySource, answer: Answer): Promise<void> => {
    const { socket } = request;
    const link = linkOf(socket);
    const stop = makeStop();
    link.running.add(stop);
    answer.isLast = () => {
      link.closing ||= ports.draining() || hasUnreadBody(request);
      return link.closing;
    };
    const arrival: Arrival = { id: nextId(), request, link, reply: answer, stop, place: undefined, known: undefined };
    link.last = arrival;
    try {
      await serve(arrival, body);
    } catch (error) {
      await turnAway.request(arrival, error);
    }
    link.running.delete(stop);
    // The head may have promised to go on, before the shutdown began (T-20); a request read since then is answered still.
    if (link.running.size === 0 && (link.closing || ports.draining())) linger(socket);
  };

  /** A request of an HTTP/2 stream (T-08): its connection is not its own and outlives it. Never rejects. */
  const onStream = async (streamed: Streamed): Promise<void> => {
    const { request, link, reply, stop, flaw } = streamed;
    const arrival: Arrival = { id: nextId(), request, link, reply, stop, place: undefined, known: undefined };
    try {
      if (flaw) throw flaw;
      await serve(arrival, clientBody(request, expectsContinue(request) ? streamed.writeContinue : undefined));
    } catch (error) {
      await turnAway.request(arrival, error);
    }
  };

  /** In the order of H-07. */
  const serve = (arrival: Arrival, body: BodySource): Promise<void> | undefined => {
    const { request, link, stop } = arrival;
    const { rawHeaders } = request;
    const entrance = ports.entrance();
    const place = locate(request.url, link, entrance.own);
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
        method: request.method,
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
    const upload = bodyOf(body, forwarded, job, entrance);
    // Refused rather than left hanging where the connection cannot be switched; any other protocol is simply not taken up.
    if (webSocket && !(arrival.reply.upgrade && maySwitch(request, upload))) throw new Refusal('no_upgrade');
    return ports.exchange(job, upload, arrival.reply, stop);
  };

  const direct = async (arrival: Arrival, url: string, entrance: Entrance): Promise<void> => {
    const { request, link, reply, id, stop } = arrival;
    const { method, rawHeaders } = request;
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
    source: BodySource,
    { chunked, contentLength = 0 }: Forwarded,
    job: Job,
    entrance: Entrance,
  ): RequestBody | undefined => {
    if (!chunked && contentLength === 0) return undefined;
    const limits = { keepBytes: entrance.replayBytes, stallMs: job.controls.timeoutMs };
    return makeRequestBody(source, chunked ? undefined : contentLength, limits, ports.clock);
  };

  return { onRequest, onStream, onMalformed: turnAway.malformed, refuseConnect: turnAway.connect };
};

/** T-18: only a GET of HTTP/1.1 without body, whose `Connection` names the upgrade. */
const maySwitch = ({ method, httpVersion, rawHeaders }: Omit<ClientRequest, 'socket'>, body: unknown): boolean =>
  method === 'GET' &&
  httpVersion === '1.1' &&
  body === undefined &&
  allValues(rawHeaders, 'connection').some((value) => hasOption(value, 'upgrade'));

const expectsContinue = ({ rawHeaders }: { rawHeaders: readonly string[] }): boolean =>
  lastValue(rawHeaders, 'expect')?.trim().toLowerCase() === '100-continue';

/** A body still on its way that is too long to be read for nothing: the connection closes after the answer. */
const hasUnreadBody = ({ complete, rawHeaders }: ClientRequest): boolean => {
  if (complete) return false;
  if (lastValue(rawHeaders, 'transfer-encoding') !== undefined) return true;
  // Refused before it was asked for its body, such a client may send it or leave it out (T-17).
  if (lastValue(rawHeaders, 'expect') !== undefined) return true;
  return Number(lastValue(rawHeaders, 'content-length') ?? 0) > DRAINABLE_BYTES;
};
