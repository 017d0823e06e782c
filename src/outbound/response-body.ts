/** The body of one response as it leaves its connection: pushed to a reader, paused by it, given up by it. */

import type { BodyOutput } from '../model/chunked.ts';
import { Fault } from '../model/errors.ts';
import type { BodySink, BodySource } from '../pipeline/ports.ts';
import type { Connection } from './connection.ts';
import { ClosedEarly, targetFault } from './faults.ts';
import { asError, type Tenant } from './tenant.ts';

const NOWHERE: BodyOutput = { write: () => true };

export class ResponseBody implements BodySource, BodyOutput, Tenant {
  private readonly chunkMs: number;
  /** The request was sent wholly: only then may the connection serve another. */
  private readonly sent: boolean;
  private connection: Connection | undefined;
  private sink: BodySink | undefined;
  private held: Buffer[] | undefined;
  private broken: Error | undefined;
  private paused = false;
  private over = false;

  constructor(connection: Connection, chunkMs: number, sent: boolean) {
    this.connection = connection;
    this.chunkMs = chunkMs;
    this.sent = sent;
    const { rest, done } = connection.parser;
    if (rest.length > 0 && !done) this.held = [rest];
  }

  start(sink: BodySink): void {
    if (this.sink !== undefined) throw new Error('a body is started once');
    this.sink = sink;
    if (this.over) {
      if (this.broken) sink.fail(this.broken);
      return;
    }
    const wasPaused = this.paused;
    const held = this.held;
    this.paused = false;
    this.held = undefined;
    if (held) for (const chunk of held) this.received(chunk);
    if (this.over) return;
    if (this.connection?.parser.done) this.finish();
    else if (this.broken) this.endBroken(this.broken);
    else if (!this.paused) this.flow(wasPaused);
  }

  resume(): void {
    if (!this.paused || this.over || this.sink === undefined) return;
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

  /** Body bytes on their way from the parser to the reader, who may have left between two of them. */
  write(chunk: Buffer): boolean {
    return this.over || this.sink === undefined || this.sink.write(chunk);
  }

  received(chunk: Buffer): void {
    if (this.sink === undefined) {
      this.hold(chunk);
      return;
    }
    try {
      this.pass(chunk);
    } catch (error) {
      this.fail(asError(error));
    }
  }

  closed(error: Error): void {
    if (this.over) return;
    if (this.sink === undefined) this.broken ??= error;
    else this.endBroken(error);
  }

  drained(): void {}

  late(): void {
    this.fail(new Fault('msgtimeout', { sent: 'all', headRead: true, reason: 'response body stalled' }));
  }

  fail(error: Error): void {
    if (this.over) return;
    this.over = true;
    this.broken = error;
    this.leave()?.destroy();
    this.sink?.fail(error);
  }

  /** Nobody reads yet: what has come is kept, and no more is asked for. */
  private hold(chunk: Buffer): void {
    this.held ??= [];
    this.held.push(chunk);
    this.pause();
  }

  private pass(chunk: Buffer): void {
    const connection = this.connection;
    if (!connection) return;
    const room = connection.parser.takeBody(chunk, this);
    if (this.over) return;
    if (connection.parser.done) this.finish();
    else if (!room) this.pause();
    else if (!this.paused) connection.deadline.in(this.chunkMs);
  }

  private pause(): void {
    this.paused = true;
    this.connection?.deadline.lift();
    this.connection?.socket.pause();
  }

  /** The reader reads: from here on a pause counts. */
  private flow(wasPaused: boolean): void {
    this.connection?.deadline.in(this.chunkMs);
    if (wasPaused) this.connection?.socket.resume();
  }

  /** The response is complete: the connection goes back before the reader hears of it. */
  private finish(): void {
    this.over = true;
    const connection = this.leave();
    if (connection) {
      const { head, surplus } = connection.parser;
      if (head?.keepAlive && !surplus && this.sent) connection.free(head.keepAliveMs, this.paused);
      else connection.destroy();
    }
    this.sink?.end();
  }

  /** Reads what is held into nothing; true when that was all of it. */
  private readOut({ parser }: Connection): boolean {
    for (const chunk of this.held ?? []) parser.takeBody(chunk, NOWHERE);
    this.held = undefined;
    return parser.done && this.broken === undefined;
  }

  private endBroken(error: Error): void {
    if (error instanceof ClosedEarly && this.connection?.parser.endsByClosing) this.finish();
    else this.fail(targetFault('response body', error, { sent: 'all', headRead: true }));
  }

  private leave(): Connection | undefined {
    const connection = this.connection;
    this.connection = undefined;
    if (connection) connection.tenant = undefined;
    return connection;
  }
}
