/** One request on one connection until the head of its response. */
import { Fault, type Sent } from '../model/errors.ts';
import { lastValue } from '../model/headers.ts';
import type { AttemptOptions, InboundResponse, OutboundRequest, Stop } from '../pipeline/ports.ts';
import { namesWebSocket } from '../policy/upgrade.ts';
import type { Connection } from './connection.ts';
import type { Ticks } from './deadline.ts';
import { ClosedEarly, isWriteError, proxyAnswerFault, targetFault } from './faults.ts';
import { malformed, type ResponseHead } from './head.ts';
import { ResponseBody } from './response-body.ts';
import type { Route } from './route.ts';
import { asError, type Tenant } from './tenant.ts';
import { upgradedResponse } from './upgraded.ts';
import { Upload, type UploadOwner } from './upload.ts';

/** Who finds a fresh connection for an exchange whose pooled one was dead. */
export interface Redialler {
  again(exchange: Exchange): void;
}

/** Methods a silent second try cannot harm. */
const REPEATABLE = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']);

/** A client that stalls its own body is told so by the body itself; this only backs that up. */
const CLIENT_GRACE_MS = 1_000;

export interface ExchangeParts {
  readonly request: OutboundRequest;
  readonly options: AttemptOptions;
  readonly stop: Stop;
  readonly route: Route;
  /** The request head, ready to send. */
  readonly head: string;
  readonly ticks: Ticks;
  readonly redialler: Redialler;
}

/** Sending it twice changes nothing, and there is no body to send again. */
export const isRepeatable = ({ method, body }: OutboundRequest): boolean =>
  body === undefined && REPEATABLE.has(method);

/** What makes a readable head no answer: a proxy that speaks for itself, or a switch to something nobody asked for. */
const faultIn = ({ status, headers }: ResponseHead, route: Route): Fault | undefined => {
  if (status === 101 && !namesWebSocket(lastValue(headers, 'upgrade'))) return malformed('upgrade');
  return route.forwarded ? proxyAnswerFault('request', status, headers) : undefined;
};

export class Exchange implements Tenant, UploadOwner {
  readonly parts: ExchangeParts;
  private readonly startedAt: number;
  private readonly resolve: (response: InboundResponse) => void;
  private readonly reject: (error: Error) => void;
  private connection: Connection | undefined;
  private upload: Upload | undefined;
  private sentAt: number | undefined;
  private reused = false;
  private over = false;

  constructor(parts: ExchangeParts, resolve: (response: InboundResponse) => void, reject: (error: Error) => void) {
    this.parts = parts;
    this.startedAt = parts.ticks();
    this.resolve = resolve;
    this.reject = reject;
  }

  /** What is left of the time until the head, in milliseconds. */
  get leftMs(): number {
    return this.startedAt + this.parts.options.headMs - this.parts.ticks();
  }

  /** Sends the request on a connection that is this exchange's alone until its response has been read. */
  run(connection: Connection, reused: boolean): void {
    const { request, options, stop, head, ticks } = this.parts;
    this.connection = connection;
    this.reused = reused;
    connection.tenant = this;
    connection.parser.begin(request.method, request.webSocket);
    connection.deadline.until(this.startedAt + options.headMs);
    stop.listen(connection.stopped);
    if (this.over) return;
    if (connection.socket.destroyed) {
      this.closed(new ClosedEarly());
      return;
    }
    this.sentAt = ticks();
    if (request.body === undefined) {
      connection.socket.write(head, 'latin1');
      return;
    }
    this.upload = new Upload(connection.socket, request.body, this);
    try {
      this.upload.begin(head);
    } catch (error) {
      this.fail(asError(error));
    }
  }

  received(chunk: Buffer): void {
    const connection = this.connection;
    try {
      if (!connection?.parser.takeHead(chunk) || !connection.parser.head) return;
      this.answered(connection, connection.parser.head);
    } catch (error) {
      this.fail(asError(error));
    }
  }

  closed(error: Error): void {
    if (this.over) return;
    if (this.canRepeat()) {
      this.leave()?.destroy();
      this.parts.redialler.again(this);
      return;
    }
    this.fail(targetFault('response head', error, this.blame(error)));
  }

  drained(): void {
    this.upload?.drained();
  }

  late(): void {
    this.fail(new Fault('timeout', { ...this.blame(undefined), reason: 'no response head in time' }));
  }

  /** While a body is on its way each step forward starts the time anew. */
  progress(blocked: boolean): void {
    if (this.over) return;
    this.connection?.deadline.in(this.parts.options.headMs + (blocked ? 0 : CLIENT_GRACE_MS));
  }

  fail(error: Error): void {
    if (this.over) return;
    this.over = true;
    if (error instanceof Fault) error.exit ??= this.connection?.exit;
    this.leave()?.destroy();
    this.upload?.stop();
    this.parts.stop.listen(undefined);
    this.reject(error);
  }

  private answered(connection: Connection, head: ResponseHead): void {
    const { route, options, stop, ticks } = this.parts;
    const fault = faultIn(head, route);
    if (fault) {
      this.fail(fault);
      return;
    }
    this.over = true;
    this.connection = undefined;
    connection.deadline.lift();
    stop.listen(undefined);
    const requestMs = ticks() - (this.sentAt ?? this.startedAt);
    if (head.status === 101) {
      this.resolve(upgradedResponse(connection, head, requestMs));
      return;
    }
    const sent = this.upload === undefined || this.upload.done;
    const body = new ResponseBody(connection, options.chunkMs, sent);
    connection.tenant = body;
    this.upload?.stop();
    this.resolve({
      status: head.status,
      reason: head.reason,
      headers: head.headers,
      length: head.length,
      body,
      requestMs,
      exit: options.upstream.label ?? connection.exit,
      reused: this.reused,
    });
  }

  private leave(): Connection | undefined {
    const connection = this.connection;
    this.connection = undefined;
    if (connection) connection.tenant = undefined;
    return connection;
  }

  /** Nothing came back on a pooled connection: it was closed while idle, as every browser assumes too. */
  private canRepeat(): boolean {
    if (!this.reused || this.connection?.parser.started) return false;
    return this.sentAt === undefined || isRepeatable(this.parts.request);
  }

  private blame(error: Error | undefined): { sent: Sent; headRead: boolean } {
    return { sent: this.sentSoFar(error), headRead: this.connection?.parser.started ?? false };
  }

  private sentSoFar(error: Error | undefined): Sent {
    if (this.sentAt === undefined) return 'nothing';
    const waiting = (this.connection?.socket.writableLength ?? 0) > 0;
    const uploaded = this.upload === undefined || this.upload.done;
    return waiting || !uploaded || isWriteError(error) ? 'some' : 'all';
  }
}
