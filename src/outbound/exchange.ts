/** One request and its response on one connection: sends, awaits the head, then is the response's body. */
import { Fault, type Sent } from '../model/errors.ts';
import type {
  AttemptOptions,
  BodySink,
  BodySource,
  InboundResponse,
  OutboundRequest,
  Stop,
} from '../pipeline/ports.ts';
import type { Connection } from './connection.ts';
import type { Ticks } from './deadline.ts';
import { ClosedEarly, isWriteError, proxyAnswerFault, targetFault } from './faults.ts';
import type { ResponseHead } from './head.ts';
import type { Route } from './route.ts';
import { Upload, type UploadOwner } from './upload.ts';

/** Who finds another connection for an exchange whose pooled one was dead. */
export interface Redialler {
  again(exchange: Exchange): void;
}

/** Methods a silent second try cannot harm. */
const REPEATABLE = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']);

/** A client that stalls its own body is told so by the body itself; this only backs that up. */
const CLIENT_GRACE_MS = 1_000;

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));

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

export class Exchange implements BodySource, UploadOwner {
  readonly parts: ExchangeParts;
  readonly startedAt: number;
  private readonly resolve: (response: InboundResponse) => void;
  private readonly reject: (error: Error) => void;
  private connection: Connection | undefined;
  private upload: Upload | undefined;
  private head: ResponseHead | undefined;
  private sink: BodySink | undefined;
  private held: Buffer[] | undefined;
  private broken: Error | undefined;
  private sentAt = 0;
  private reused = false;
  private paused = false;
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
    connection.deadline.until(this.startedAt + options.headMs);
    stop.listen(connection.stopped);
    if (this.over) return;
    if (connection.socket.destroyed) {
      this.closed(new ClosedEarly());
      return;
    }
    this.sentAt = reused ? this.startedAt : ticks();
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

  // ---- what the connection tells ---------------------------------------------------------------------------------------

  received(chunk: Buffer): void {
    try {
      if (this.head === undefined) this.takeHead(chunk);
      else if (this.sink === undefined) this.hold(chunk);
      else this.pass(chunk);
    } catch (error) {
      this.fail(asError(error));
    }
  }

  /** The peer closed, or the socket failed with `error`. */
  closed(error: Error): void {
    if (this.over) return;
    if (this.head === undefined) {
      if (this.canRepeat()) this.repeat();
      else this.fail(targetFault('response head', error, this.blame(error)));
      return;
    }
    if (this.sink === undefined) this.broken ??= error;
    else this.endBroken(error);
  }

  drained(): void {
    this.upload?.drained();
  }

  late(): void {
    const inBody = this.head !== undefined;
    const reason = inBody ? 'response body stalled' : 'no response head in time';
    this.fail(new Fault(inBody ? 'msgtimeout' : 'timeout', { ...this.blame(undefined), reason }));
  }

  progress(blocked: boolean): void {
    if (this.over || this.head !== undefined) return;
    this.connection?.deadline.in(this.parts.options.headMs + (blocked ? 0 : CLIENT_GRACE_MS));
  }

  /** Ends it here and now; the connection goes with it. */
  fail(error: Error): void {
    if (this.over) return;
    this.over = true;
    this.leave()?.destroy();
    this.upload?.stop();
    if (this.head === undefined) {
      this.parts.stop.listen(undefined);
      this.reject(error);
      return;
    }
    this.broken = error;
    this.sink?.fail(error);
  }

  // ---- the response's body ---------------------------------------------------------------------------------------------

  start(sink: BodySink): void {
    if (this.sink !== undefined) throw new Error('a body is started once');
    this.sink = sink;
    if (this.over) {
      if (this.broken) sink.fail(this.broken);
      return;
    }
    const wasPaused = this.paused;
    this.paused = false;
    const held = this.held;
    this.held = undefined;
    if (held) for (const chunk of held) this.received(chunk);
    if (this.over) return;
    if (this.connection?.parser.done) this.finish();
    else if (this.broken) this.endBroken(this.broken);
    else if (!this.paused) this.flow(wasPaused);
  }

  resume(): void {
    if (!this.paused || this.over) return;
    this.paused = false;
    this.flow(true);
  }

  /** Closes the connection, unless the whole response is here already. */
  abort(): void {
    if (this.over) return;
    const connection = this.connection;
    if (this.sink === undefined && connection && this.readOut(connection)) {
      this.finish();
      return;
    }
    this.over = true;
    this.leave()?.destroy();
  }

  /** Body bytes on their way to the reader. */
  write(chunk: Buffer): boolean {
    return this.over || this.sink === undefined || this.sink.write(chunk);
  }

  // ---- inside ----------------------------------------------------------------------------------------------------------

  private takeHead(chunk: Buffer): void {
    const connection = this.connection;
    if (!connection?.parser.takeHead(chunk)) return;
    const { head, rest } = connection.parser;
    if (head === undefined) return;
    connection.deadline.lift();
    const { route, options, stop, ticks } = this.parts;
    const fault = route.forwarded ? proxyAnswerFault('request', head.status, head.headers) : undefined;
    if (fault) {
      this.fail(fault);
      return;
    }
    this.upload?.stop();
    this.head = head;
    if (rest.length > 0 && !connection.parser.done) this.held = [rest];
    stop.listen(undefined);
    this.resolve({
      status: head.status,
      reason: head.reason,
      headers: head.headers,
      length: head.length,
      body: this,
      requestMs: ticks() - this.sentAt,
      exit: options.upstream.label ?? connection.exit,
      reused: this.reused,
    });
  }

  /** Nobody reads yet: what has come is kept, and no more is asked for. */
  private hold(chunk: Buffer): void {
    this.held ??= [];
    this.held.push(chunk);
    this.pause();
  }

  /** The reader reads: from here on a pause counts. */
  private flow(wasPaused: boolean): void {
    this.connection?.deadline.in(this.parts.options.chunkMs);
    if (wasPaused) this.connection?.socket.resume();
  }

  private pause(): void {
    this.paused = true;
    this.connection?.deadline.lift();
    this.connection?.socket.pause();
  }

  private pass(chunk: Buffer): void {
    const connection = this.connection;
    if (!connection) return;
    const room = connection.parser.takeBody(chunk, this);
    if (this.over) return;
    if (connection.parser.done) this.finish();
    else if (!room) this.pause();
    else if (!this.paused) connection.deadline.in(this.parts.options.chunkMs);
  }

  /** The response is complete: the connection goes back before the reader hears of it. */
  private finish(): void {
    this.over = true;
    const connection = this.leave();
    if (connection) {
      const { head, surplus } = connection.parser;
      const uploaded = this.upload === undefined || this.upload.done;
      if (head?.keepAlive && !surplus && uploaded) connection.free(head.keepAliveMs, this.paused);
      else connection.destroy();
    }
    this.sink?.end();
  }

  /** Reads what is held into nothing; true when that was all of it. */
  private readOut(connection: Connection): boolean {
    const { parser } = connection;
    for (const chunk of this.held ?? []) if (!parser.done) parser.takeBody(chunk, { write: () => true });
    this.held = undefined;
    return parser.done && this.broken === undefined;
  }

  private endBroken(error: Error): void {
    const complete = error instanceof ClosedEarly && this.connection?.parser.endsByClosing;
    if (complete) this.finish();
    else this.fail(targetFault('response body', error, { sent: 'all', headRead: true }));
  }

  private leave(): Connection | undefined {
    const connection = this.connection;
    this.connection = undefined;
    if (connection) connection.exchange = undefined;
    return connection;
  }

  private canRepeat(): boolean {
    const { request } = this.parts;
    const untouched = this.reused && !this.connection?.parser.started;
    return untouched && request.body === undefined && REPEATABLE.has(request.method);
  }

  private repeat(): void {
    this.leave()?.destroy();
    this.parts.redialler.again(this);
  }

  private blame(error: Error | undefined): { sent: Sent; headRead: boolean } {
    return { sent: this.sentSoFar(error), headRead: this.connection?.parser.started ?? false };
  }

  private sentSoFar(error: Error | undefined): Sent {
    if (this.sentAt === 0) return 'nothing';
    const waiting = (this.connection?.socket.writableLength ?? 0) > 0;
    const uploaded = this.upload === undefined || this.upload.done;
    return waiting || !uploaded || isWriteError(error) ? 'some' : 'all';
  }
}
