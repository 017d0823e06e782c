/** Sends one request body: head and first bytes in one write, then as fast as the socket takes it. */
import type { Socket } from 'node:net';
import { Fault } from '../model/errors.ts';
import type { BodySink, OutboundBody } from '../pipeline/ports.ts';

/** Told how sending goes. */
export interface UploadOwner {
  /** Bytes were handed over after the first moment; `blocked` = the peer is not taking them. */
  progress(blocked: boolean): void;
  fail(error: Error): void;
}

/** Up to this size copying beats a second write. */
const SMALL = 16_384;

export class Upload implements BodySink {
  /** Every byte has been given to the socket. */
  done = false;
  private readonly socket: Socket;
  private readonly body: OutboundBody;
  private readonly owner: UploadOwner;
  private head: string | undefined;
  private left: number;
  private blocked = false;
  private stopped = false;
  private live = false;

  constructor(socket: Socket, body: OutboundBody, owner: UploadOwner) {
    this.socket = socket;
    this.body = body;
    this.owner = owner;
    this.left = body.length ?? 0;
  }

  /** Sends the head with whatever the source has ready. */
  begin(head: string): void {
    this.head = head;
    this.body.source.start(this);
    if (this.stopped) return;
    this.flushHead();
    this.live = true;
    // From here on the client's pauses are the body's own to time.
    if (!this.done) this.owner.progress(this.blocked);
  }

  write(chunk: Buffer): boolean {
    if (this.stopped || this.done) return false;
    if (chunk.length === 0) return true;
    const chunked = this.body.length === undefined;
    this.left -= chunked ? 0 : chunk.length;
    if (this.left < 0) {
      this.owner.fail(new Fault('send_failed', { sent: 'some', reason: 'request body longer than announced' }));
      return false;
    }
    const room = chunked ? this.writeFramed(chunk) : this.writePlain(chunk);
    this.blocked = !room;
    if (this.live) this.owner.progress(this.blocked);
    return room;
  }

  end(): void {
    if (this.stopped || this.done) return;
    if (this.left > 0) {
      this.owner.fail(new Fault('send_failed', { sent: 'some', reason: 'request body shorter than announced' }));
      return;
    }
    this.flushHead();
    if (this.body.length === undefined) this.socket.write('0\r\n\r\n', 'latin1');
    this.done = true;
    if (this.live) this.owner.progress(true);
  }

  fail(error: Error): void {
    if (!this.stopped && !this.done) this.owner.fail(error);
  }

  /** The socket has room again. */
  drained(): void {
    if (!this.blocked || this.stopped || this.done) return;
    this.blocked = false;
    this.owner.progress(false);
    this.body.source.resume();
  }

  /** Nothing more is sent. */
  stop(): void {
    if (this.stopped || this.done) return;
    this.stopped = true;
    this.body.source.abort();
  }

  private flushHead(): void {
    if (this.head === undefined) return;
    const head = this.head;
    this.head = undefined;
    this.socket.write(head, 'latin1');
  }

  private writePlain(chunk: Buffer): boolean {
    if (this.head === undefined) return this.socket.write(chunk);
    if (chunk.length > SMALL) {
      this.flushHead();
      return this.socket.write(chunk);
    }
    const head = this.head;
    this.head = undefined;
    const joined = Buffer.allocUnsafe(head.length + chunk.length);
    joined.write(head, 0, 'latin1');
    chunk.copy(joined, head.length);
    return this.socket.write(joined);
  }

  private writeFramed(chunk: Buffer): boolean {
    this.socket.cork();
    this.flushHead();
    this.socket.write(`${chunk.length.toString(16)}\r\n`, 'latin1');
    this.socket.write(chunk);
    const room = this.socket.write('\r\n', 'latin1');
    this.socket.uncork();
    return room;
  }
}
