/** HTTP/2 inside tunnels (T-08): sessions on decrypted connections, their limits, and every stream as a request of its own. */
import { constants, performServerHandshake, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import { Gone, Refusal } from '../model/errors.ts';
import type { Clock, Reply } from '../pipeline/ports.ts';
import { makeStop, type StopButton } from '../pipeline/stop.ts';
import { watchLife } from './h2-life.ts';
import { makeStreamReply } from './h2-reply.ts';
import { readStreamHead, type StreamRequest, streamRequest } from './h2-request.ts';
import { type Link, linkOf } from './link.ts';
import { makeResetBudget } from './reset-budget.ts';

/** One request of a stream, ready to be served. */
export interface Streamed {
  readonly request: StreamRequest;
  /** Of this stream alone: what ends it does not end its neighbours. */
  readonly link: Link;
  readonly reply: Reply;
  readonly stop: StopButton;
  /** Why it is refused unserved. */
  readonly flaw: Refusal | undefined;
  /** `100 Continue` (T-17). */
  writeContinue(): void;
}

export interface H2Ports {
  readonly clock: Clock;
  /** As of a request head over HTTP/1.1 (T-11). */
  readonly maxHeaderBytes: number;
  /** A connection without a stream is closed after this long. */
  readonly idleMs: number;
  draining(): boolean;
  /** Never rejects; resolves when the request is over. */
  answer(streamed: Streamed): Promise<void>;
}

export interface H2 {
  serve(socket: TLSSocket): void;
  /** No new streams: those that run go on, then their connections close (GOAWAY). */
  close(): void;
}

const MAX_STREAMS = 100;
/** Above what is answered 413, so that there is something to answer; past this the stream is reset. */
const MAX_FIELDS = 4_000;
/** What all streams of one connection may keep in memory. */
const SESSION_MEGABYTES = 32;

const optionsFor = (maxHeaderBytes: number) => ({
  // HTTP/2 counts 32 bytes more for each field.
  settings: { maxConcurrentStreams: MAX_STREAMS, maxHeaderListSize: 2 * maxHeaderBytes + 32 * MAX_FIELDS },
  maxHeaderListPairs: MAX_FIELDS,
  maxSendHeaderBlockLength: 1_048_576,
  maxSessionMemory: SESSION_MEGABYTES,
  maxSessionInvalidFrames: 100,
});

const ignore = (): void => undefined;

export const makeH2 = (ports: H2Ports): H2 => {
  const sessions = new Set<ServerHttp2Session>();
  const options = optionsFor(ports.maxHeaderBytes);

  const serve = (socket: TLSSocket): void => {
    // What `tls.Server` does once hands are shaken; without it Node would wait for a handshake that is over.
    Object.assign(socket, { secureConnecting: false });
    const session = performServerHandshake(socket, options);
    const link = linkOf(socket);
    const budget = makeResetBudget(() => ports.clock.now());
    const life = watchLife(session, socket, ports);
    sessions.add(session);
    session.on('error', ignore);
    session.once('close', () => sessions.delete(session));
    const onStream = (stream: ServerHttp2Stream, _headers: unknown, flags: number, raw: readonly string[]): void => {
      life.begin(stream);
      stream.on('error', ignore);
      stream.once('close', () => {
        if (!budget.spend(stream.rstCode)) {
          session.destroy(new Error('too many resets'), constants.NGHTTP2_ENHANCE_YOUR_CALM);
        }
      });
      void run(stream, raw, (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0, link);
    };
    session.on('stream', onStream as (stream: ServerHttp2Stream) => void);
  };

  const run = async (
    stream: ServerHttp2Stream,
    raw: readonly string[],
    ended: boolean,
    connection: Link,
  ): Promise<void> => {
    // Opened and reset in one breath: nothing was begun for it.
    if (stream.destroyed || stream.aborted) return;
    const head = readStreamHead(raw, ended);
    if (!head) {
      stream.close(constants.NGHTTP2_PROTOCOL_ERROR);
      return;
    }
    const stop = makeStop();
    const leave = (): void => stop.press(new Gone());
    stream.once('aborted', leave);
    stream.once('close', leave);
    connection.running.add(stop);
    const request = streamRequest(stream, head, ended);
    stopUploadAtEnd(stream, request);
    await ports.answer({
      request,
      link: linkOfStream(connection, stop),
      reply: makeStreamReply(stream, ports.clock),
      stop,
      flaw: head.bytes > ports.maxHeaderBytes ? new Refusal('headers_too_large', { reason: 'HTTP/2 head' }) : undefined,
      writeContinue: () => {
        if (!stream.destroyed && !stream.closed && !stream.headersSent) stream.additionalHeaders({ ':status': 100 });
      },
    });
    connection.running.delete(stop);
  };

  return {
    serve,
    close() {
      for (const session of sessions) session.close();
    },
  };
};

const linkOfStream = ({ tunnel, secure, servername, remote }: Link, stop: StopButton): Link => ({
  tunnel,
  secure,
  servername,
  remote,
  closing: false,
  delegated: false,
  running: new Set([stop]),
  last: undefined,
});

/** Answered before its body was all there: the client is told that nobody wants the rest (RFC 9113, 8.1). */
const stopUploadAtEnd = (stream: ServerHttp2Stream, request: StreamRequest): void => {
  stream.once('finish', () => {
    if (stream.headersSent && !request.complete) stream.close(constants.NGHTTP2_NO_ERROR);
  });
};
