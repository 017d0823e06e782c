/** One client connection as HTTP/1.1: reads one request, waits for its answer, then reads the next (A15). */
import type { Socket } from 'node:net';
import type { BodySource, Clock } from '../pipeline/ports.ts';
import { Answer } from './answer.ts';
import { Asked, type ClientRequest } from './client-request.ts';
import { HeadReader, type WholeHead } from './head-reader.ts';
import { CLIENT_STALL_MS, linger } from './link.ts';
import { EARLY_BYTES, NO_BODY, RequestBody } from './request-body.ts';
import { Malformed, malformed, type RequestHead, readRequestHead } from './request-head.ts';

export interface ConversationHooks {
  /** A CONNECT: the connection, paused, is the hook's now, with what the client sent behind the head. */
  connect(request: ClientRequest, socket: Socket, head: Buffer): void;
  /** The next request is not read before `answer` is written. */
  request(request: ClientRequest, body: BodySource, answer: Answer): void;
  /** Bytes that are no request. The hook answers and closes. */
  malformed(socket: Socket, flaw: Malformed): void;
  /** Nothing is to be read here any more. */
  ended(conversation: Conversation): void;
}

export interface ConversationParts {
  readonly hooks: ConversationHooks;
  readonly clock: Clock;
  /** Bytes of a whole request head (T-11). */
  readonly maxHeadBytes: number;
  /** How long a head may take, from the connection's start or its first byte (robustness G01). */
  readonly headMs: number;
  /** How long a connection may stay idle. */
  readonly idleMs: number;
  /** Header lines that tell how long the connection is kept. */
  readonly keepLines: string;
  /** Milliseconds, as coarse as the deadlines are checked. */
  coarseNow(): number;
}

const NEVER = Number.POSITIVE_INFINITY;

type State = 'head' | 'request' | 'over';

/** A class: one object holds the state of every request that runs here. */
export class Conversation {
  readonly socket: Socket;
  /** When it is late, on the coarse clock. */
  dueAt: number;
  private readonly parts: ConversationParts;
  private readonly reader: HeadReader;
  private state: State = 'head';
  private body: RequestBody | undefined = undefined;
  private answering = false;
  /** The client has not taken what it was answered: nothing more is read until then. */
  private full: boolean;
  /** The one being written, or the last one: the client may not have taken all of it yet. */
  private answer: Answer | undefined = undefined;

  constructor(socket: Socket, parts: ConversationParts) {
    this.socket = socket;
    this.parts = parts;
    this.reader = new HeadReader(parts.maxHeadBytes);
    this.dueAt = parts.coarseNow() + parts.headMs;
    this.full = socket.writableNeedDrain;
    socket.on('data', this.data);
    socket.on('end', this.end);
    socket.on('error', this.fail);
    socket.on('close', this.close);
    socket.on('drain', this.drain);
    if (!this.full) socket.resume();
  }

  /** Its deadline has passed. */
  late(): void {
    this.dueAt = NEVER;
    if (this.state === 'over') return;
    if (this.full) this.socket.destroy();
    else if (this.state === 'head' && this.reader.length > 0) this.refuse(malformed('head too slow'));
    else this.part();
  }

  /** Gives the connection up, paused, and the bytes read ahead; nothing happens here any more. */
  release(): Buffer {
    const { socket } = this;
    this.leave();
    socket.off('data', this.data).off('end', this.end).off('error', this.fail);
    socket.off('close', this.close).off('drain', this.drain);
    socket.pause();
    return this.reader.release();
  }

  /** The answer has been handed to the socket: what is left of the body is dropped, then the next request is read. */
  answered(): void {
    this.answering = false;
    if (this.state !== 'request') return;
    if (!this.body || this.body.complete) {
      this.next();
      return;
    }
    this.dueAt = this.parts.coarseNow() + this.parts.headMs;
    this.body.abort();
  }

  /** No request of this connection is read any more: what still comes is dropped. */
  leave(): void {
    if (this.state === 'over') return;
    this.state = 'over';
    this.dueAt = NEVER;
    this.parts.hooks.ended(this);
  }

  private readonly data = (chunk: Buffer): void => {
    // An answer that was the last one may be on its way.
    if (this.state === 'over' || this.socket.writableEnded) return;
    try {
      this.take(chunk);
    } catch (error) {
      if (error instanceof Malformed) {
        this.refuse(error);
        return;
      }
      // A bug of ours: nobody would ever answer here.
      this.socket.destroy();
      throw error;
    }
  };

  private take(chunk: Buffer): void {
    if (this.state === 'head' && !this.full) this.takeHead(chunk);
    else if (this.body && !this.body.complete) this.takeBody(this.body, chunk);
    else this.keep(chunk);
  }

  private takeHead(chunk: Buffer): void {
    const fresh = this.reader.length === 0;
    const whole = this.reader.take(chunk);
    if (whole) this.begin(readRequestHead(whole.text), whole);
    else if (fresh && this.reader.length > 0) this.dueAt = this.parts.coarseNow() + this.parts.headMs;
  }

  private takeBody(body: RequestBody, chunk: Buffer): void {
    const end = body.take(chunk);
    if (end < chunk.length) this.keep(chunk.subarray(end));
    if (!body.complete) return;
    if (!this.answering) this.next();
    // Its taker may have had no room for the last of it; a client that leaves must be noticed all the same (T-19).
    else if (this.reader.length < EARLY_BYTES) this.socket.resume();
  }

  /** Bytes behind a request still being answered. */
  private keep(chunk: Buffer): void {
    this.reader.keep(chunk);
    if (this.reader.length >= EARLY_BYTES) this.socket.pause();
  }

  private begin(head: RequestHead, { rest }: WholeHead): void {
    const { socket, parts } = this;
    this.dueAt = NEVER;
    if (head.method === 'CONNECT') {
      this.release();
      parts.hooks.connect(new Asked(head, socket, undefined), socket, rest);
      return;
    }
    this.state = 'request';
    this.body = head.chunked || head.length > 0 ? new RequestBody(socket, head) : undefined;
    this.answer?.rest();
    this.answer = new Answer(this, head, parts);
    this.answering = true;
    const request = new Asked(head, socket, this.body);
    if (rest.length > 0) this.take(rest);
    parts.hooks.request(request, this.body ?? NO_BODY, this.answer);
  }

  private next(): void {
    this.state = 'head';
    this.body = undefined;
    this.full = this.socket.writableNeedDrain;
    this.dueAt = this.parts.coarseNow() + (this.full ? CLIENT_STALL_MS : this.parts.idleMs);
    if (this.full) this.socket.pause();
    // In a turn of its own: many short requests may wait here, each answered at once.
    else if (this.reader.length > 0) process.nextTick(this.takeEarly);
    else this.socket.resume();
  }

  private readonly takeEarly = (): void => {
    if (this.state !== 'head' || this.full) return;
    // First, so that whoever has enough of what is taken here can pause it.
    this.socket.resume();
    this.data(this.reader.release());
  };

  private refuse(flaw: Malformed): void {
    this.leave();
    this.parts.hooks.malformed(this.socket, flaw);
    this.body?.fail();
  }

  /** Nothing is said to the client, but it may have what it has not taken yet. */
  private part(): void {
    this.leave();
    if (this.socket.writableLength > 0) linger(this.socket);
    else this.socket.destroy();
  }

  private readonly end = (): void => {
    if (this.state === 'head' && this.reader.length > 0) {
      this.refuse(malformed('unfinished head'));
      return;
    }
    this.leave();
    this.body?.fail();
    linger(this.socket);
  };

  private readonly fail = (): void => {
    this.socket.destroy();
  };

  private readonly close = (): void => {
    this.leave();
    this.body?.fail();
    this.answer?.closed();
  };

  private readonly drain = (): void => {
    this.answer?.drained();
    if (this.full && this.state === 'head') this.next();
  };
}
