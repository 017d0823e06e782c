/** The body of an HTTP/1.1 request as a push source: its framing, and what came before anybody wanted it. */
import type { Socket } from 'node:net';
import { ChunkedDecoder } from '../model/chunked.ts';
import { Gone } from '../model/errors.ts';
import type { BodySink, BodySource } from '../pipeline/ports.ts';
import { malformed, type RequestHead } from './request-head.ts';

/** What a client may send ahead; beyond that it has to wait. */
export const EARLY_BYTES = 65_536;

const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n';

const left = (): Gone => new Gone('client left while sending its body');

/** Little is read before `start`, so a body that nobody wants yet stays with the client. */
export class RequestBody implements BodySource {
  /** All of it has been read from the connection. */
  complete = false;
  private readonly socket: Socket;
  private readonly decoder: ChunkedDecoder | undefined;
  private readonly expects: boolean;
  private missing: number;
  private sink: BodySink | undefined = undefined;
  /** Came before it was wanted, or while its taker had no room. */
  private early: Buffer[] = [];
  private earlyBytes = 0;
  private started = false;
  /** The taker had no room: it is given nothing until it asks, though a packet may have more chunks. */
  private blocked = false;
  private dropped = false;
  private failed = false;

  constructor(socket: Socket, { chunked, length, expects, httpVersion }: RequestHead) {
    this.socket = socket;
    this.decoder = chunked ? new ChunkedDecoder(malformed, true) : undefined;
    this.missing = length;
    this.expects = expects && httpVersion === '1.1';
  }

  /** Takes what belongs to it; returns how much that was. Throws `Malformed`. */
  take(chunk: Buffer): number {
    const end = this.decoder ? this.decoder.read(chunk, 0, this) : this.takeLength(chunk);
    this.complete = this.decoder ? this.decoder.done : this.missing === 0;
    if (this.started && this.early.length === 0) this.finish();
    return end;
  }

  /** The decoder's output. */
  write(piece: Buffer): boolean {
    if (this.dropped) return true;
    if (!this.started || this.blocked || this.early.length > 0) {
      this.early.push(piece);
      this.earlyBytes += piece.length;
      // Until then the socket goes on reading, so that a client that leaves is noticed (T-19).
      if (this.earlyBytes >= EARLY_BYTES) this.socket.pause();
      return false;
    }
    return this.hand(piece);
  }

  /** `100 Continue` is due at this moment (T-17). */
  start(sink: BodySink): void {
    this.sink = sink;
    this.started = true;
    if (this.expects && !this.complete) this.socket.write(CONTINUE);
    if (this.failed) sink.fail(left());
    else this.resume();
  }

  resume(): void {
    this.blocked = false;
    while (this.early.length > 0) if (!this.hand(this.early.shift() as Buffer)) return;
    if (this.complete) this.finish();
    else this.socket.resume();
  }

  /** Bytes still on their way must not be mistaken for the next request: they are read and dropped. */
  abort(): void {
    this.dropped = true;
    this.sink = undefined;
    this.early = [];
    if (!this.complete) this.socket.resume();
  }

  /** No more of it will come. */
  fail(): void {
    if (this.complete || this.failed) return;
    this.failed = true;
    this.sink?.fail(left());
  }

  private hand(piece: Buffer): boolean {
    if (this.sink?.write(piece)) return true;
    this.blocked = true;
    // With nothing left to hold back, the socket goes on reading, so that a client that leaves is noticed (T-19).
    if (!this.complete) this.socket.pause();
    return false;
  }

  private finish(): void {
    const { sink } = this;
    if (!this.complete || !sink) return;
    this.sink = undefined;
    sink.end();
  }

  private takeLength(chunk: Buffer): number {
    const end = Math.min(this.missing, chunk.length);
    this.missing -= end;
    if (end > 0) this.write(end === chunk.length ? chunk : chunk.subarray(0, end));
    return end;
  }
}

export const NO_BODY: BodySource = {
  start: (sink) => sink.end(),
  resume: () => undefined,
  abort: () => undefined,
};
