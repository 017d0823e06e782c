/** One answer on an HTTP/1.1 connection: its head with the first of its body in one write, then the rest as the client takes it. */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { Gone, Refusal } from '../model/errors.ts';
import type { BodySink, BodySource, Clock, Delivery, Reply, ReplyHead, Soon, Stop, Timer } from '../pipeline/ports.ts';
import { answerHead, bareHead } from './answer-head.ts';
import type { Conversation } from './conversation.ts';
import { CLIENT_STALL_MS, linger } from './link.ts';
import type { RequestHead } from './request-head.ts';
import { splice } from './splice.ts';
import { giveUp } from './terminate.ts';

/** Pieces up to this size are worth copying into one write with the head. */
const SMALL_BYTES = 8_192;

const LAST_CHUNK = '0\r\n\r\n';

/** A class: one is made for every request, and none of its steps costs a closure. */
export class Answer implements Reply, BodySink {
  /** The connection's last answer (T-20); asked when the head is written. */
  isLast: () => boolean = () => false;
  private readonly conversation: Conversation;
  private readonly socket: Socket;
  private readonly request: RequestHead;
  private readonly clock: Clock;
  private readonly keepLines: string;
  /** The head is written or about to be. */
  private headed = false;
  private last = false;
  private chunked = false;
  private bodyless = false;
  /** Text to go out with the next write. */
  private text = '';
  /** The body's source is in its `start`: small pieces wait for the end that may follow at once. */
  private gathering = false;
  private source: BodySource | undefined = undefined;
  private stop: Stop | undefined = undefined;
  private done: ((delivery: Delivery) => void) | undefined = undefined;
  private delivery: Delivery | undefined = undefined;
  private bytes = 0;
  private maxBytes = 0;
  private stall: Timer | undefined = undefined;

  constructor(
    conversation: Conversation,
    request: RequestHead,
    { clock, keepLines }: { readonly clock: Clock; readonly keepLines: string },
  ) {
    this.conversation = conversation;
    this.socket = conversation.socket;
    this.request = request;
    this.clock = clock;
    this.keepLines = keepLines;
  }

  /** Too late to say anything once a head is out: all that is left is to cut (E-10). */
  send(head: ReplyHead, body: string): void {
    if (this.headed) this.socket.destroy();
    if (this.socket.destroyed) return;
    const bytes = Buffer.from(body);
    // A 204 has no length to announce (RFC 9110, 8.6).
    this.begin(head, head.status === 204 ? undefined : bytes.length);
    const text = this.text;
    this.text = '';
    this.socket.write(this.bodyless ? text : text + bytes.toString('latin1'), 'latin1');
    this.conclude();
  }

  stream(head: ReplyHead, body: BodySource, stop: Stop, maxBytes: number): Soon<Delivery> {
    if (this.socket.destroyed) {
      body.abort();
      return { bytes: 0, failure: new Gone() };
    }
    this.source = body;
    this.stop = stop;
    this.maxBytes = maxBytes;
    this.begin(head, undefined);
    stop.listen(this.cut);
    if (this.delivery) return this.delivery;
    this.gathering = true;
    body.start(this);
    this.gathering = false;
    // Without any of it the head must not wait: the body may be long in coming.
    if (this.text !== '') this.flush();
    return this.delivery ?? new Promise(this.settleLater);
  }

  /** Resolves when client and target have gone (T-18). */
  upgrade(head: ReplyHead, target: Duplex, stop: Stop): Promise<Delivery> {
    if (stop.reason) {
      target.destroy();
      return Promise.resolve({ bytes: 0, failure: stop.reason });
    }
    stop.listen(undefined);
    this.headed = true;
    const early = this.conversation.release();
    this.socket.on('error', giveUp);
    this.socket.write(bareHead(head), 'latin1');
    return splice(this.socket, target, early.length > 0 ? [early] : [], this.clock);
  }

  write(chunk: Buffer): boolean {
    if (this.delivery) return false;
    this.bytes += chunk.length;
    if (this.bytes > this.maxBytes) {
      this.cut(new Refusal('data_error', { reason: `body over ${this.maxBytes} bytes` }));
      return false;
    }
    if (this.bodyless || chunk.length === 0) return true;
    const room = chunk.length <= SMALL_BYTES ? this.writeText(chunk) : this.writeBytes(chunk);
    if (!room) this.stall ??= this.clock.after(CLIENT_STALL_MS, this.stalled);
    return room;
  }

  end(): void {
    if (this.delivery) return;
    if (this.chunked) this.text += LAST_CHUNK;
    if (this.text !== '') this.flush();
    this.settle(undefined);
    this.conclude();
  }

  fail(error: Error): void {
    if (this.delivery) return;
    if (this.text !== '') this.flush();
    this.settle(error);
    this.cutOff();
  }

  /** The socket takes more. */
  drained(): void {
    if (!this.stall) return;
    this.rest();
    if (!this.delivery) this.source?.resume();
  }

  /** The next request has come: its client reads. */
  rest(): void {
    this.stall?.cancel();
    this.stall = undefined;
  }

  /** The socket is gone. */
  closed(): void {
    this.rest();
    if (this.source && !this.delivery) this.cut(new Gone());
  }

  private readonly settleLater = (resolve: (delivery: Delivery) => void): void => {
    this.done = resolve;
  };

  private readonly stalled = (): void => {
    if (this.delivery) this.socket.destroy();
    else this.cut(new Gone('client stopped reading'));
  };

  private readonly cut = (reason: Error): void => {
    if (this.delivery) return;
    this.source?.abort();
    this.fail(reason);
  };

  /** Sets the head up as text. `length`: of a whole body of ours. */
  private begin(given: ReplyHead, length: number | undefined): void {
    const head = answerHead(given, this.request, length, this.isLast(), this.keepLines);
    this.headed = true;
    this.bodyless = head.bodyless;
    this.chunked = head.chunked;
    this.last = head.last;
    this.text = head.text;
  }

  /** As text, a small piece joins the head, and what may end the body, in one string and one write. */
  private writeText(chunk: Buffer): boolean {
    const text = chunk.toString('latin1');
    this.text += this.chunked ? `${chunk.length.toString(16)}\r\n${text}\r\n` : text;
    return this.gathering && this.text.length <= SMALL_BYTES ? true : this.flush();
  }

  private writeBytes(chunk: Buffer): boolean {
    const { socket } = this;
    socket.cork();
    if (this.chunked) this.text += `${chunk.length.toString(16)}\r\n`;
    if (this.text !== '') this.flush();
    const room = socket.write(chunk);
    if (this.chunked) this.text = '\r\n';
    if (this.text !== '' && !this.gathering) this.flush();
    socket.uncork();
    return room && !socket.writableNeedDrain;
  }

  private flush(): boolean {
    const { text } = this;
    this.text = '';
    return this.socket.write(text, 'latin1');
  }

  private settle(failure: Error | undefined): void {
    this.stop?.listen(undefined);
    this.delivery = { bytes: this.bytes, failure };
    if (failure) this.rest();
    else if (this.socket.writableNeedDrain) this.stall ??= this.clock.after(CLIENT_STALL_MS, this.stalled);
    this.done?.(this.delivery);
  }

  private conclude(): void {
    if (this.last) {
      this.conversation.leave();
      linger(this.socket);
    }
    this.conversation.answered();
  }

  /** What came is handed over, then the connection is cut. HTTP/1.0 has no other sign of an incomplete body than a reset (E-10). */
  private cutOff(): void {
    const { socket } = this;
    if (this.request.httpVersion === '1.0' && !(socket instanceof TLSSocket)) socket.resetAndDestroy();
    else socket.destroy();
  }
}
