/** The client's request body: sent on while it arrives, kept up to a limit so that another attempt can send it again. */
import { Refusal } from '../model/errors.ts';
import type { BodySink, BodySource, Clock, OutboundBody, Timer } from './ports.ts';

export interface RequestBody {
  /** Announced length in bytes; `undefined` = chunked. */
  readonly length: number | undefined;
  /** False when it is, or proves to be, longer than is kept: then it is sent once. */
  readonly replayable: boolean;
  /** Not a byte was read: even a long body may still go another way when an upstream could not be reached. */
  readonly untouched: boolean;
  /** The body from its first byte, for one attempt. Call again only while `replayable` or nothing was read yet. */
  open(): OutboundBody;
  /** No attempt wants it any more. */
  abandon(): void;
}

interface Limits {
  readonly keepBytes: number;
  /** Longest pause of the client while its body is wanted; then `msgtimeout` (E-03). */
  readonly stallMs: number;
}

/**
 * `source` is read once; what it gave is kept up to `keepBytes` and played to every attempt before the rest follows.
 * An attempt that ends detaches its sink by `abort`; the client's side pauses until the next attempt opens the body.
 */
export const makeRequestBody = (
  source: BodySource,
  length: number | undefined,
  limits: Limits,
  clock: Clock,
): RequestBody => {
  let kept: Buffer[] = [];
  let keptBytes = 0;
  let overflowed = false;
  let started = false;
  let ended = false;
  let failure: Error | undefined;
  let sink: BodySink | undefined;
  let stall: Timer | undefined;
  let blocked = false;

  const rest = (): void => {
    stall?.cancel();
    stall = undefined;
  };
  const watch = (): void => {
    rest();
    stall = clock.after(limits.stallMs, () => fail(new Refusal('msgtimeout', { reason: 'request body stalled' })));
  };
  const keep = (chunk: Buffer): void => {
    if (overflowed) return;
    keptBytes += chunk.length;
    if (keptBytes <= limits.keepBytes) {
      kept.push(chunk);
      return;
    }
    overflowed = true;
    kept = [];
  };
  const fail = (error: Error): void => {
    rest();
    failure = error;
    const taker = sink;
    sink = undefined;
    taker?.fail(error);
  };
  const intake: BodySink = {
    write(chunk) {
      keep(chunk);
      if (!sink) {
        blocked = true;
        return false;
      }
      const room = sink.write(chunk);
      blocked = !room;
      if (room) watch();
      else rest();
      return room;
    },
    end() {
      rest();
      ended = true;
      const taker = sink;
      sink = undefined;
      taker?.end();
    },
    fail,
  };
  const flow = (): void => {
    if (ended || failure) return;
    watch();
    if (!started) {
      started = true;
      source.start(intake);
      return;
    }
    if (blocked) {
      blocked = false;
      source.resume();
    }
  };

  const replay = (taker: BodySink): boolean => {
    let room = true;
    for (const chunk of kept) room = taker.write(chunk);
    return room;
  };

  /** Plays what was kept, then joins the live body. The kept part is small: it is written without waiting for room. */
  const player = (): BodySource => {
    let mine: BodySink | undefined;
    return {
      start(taker) {
        if (failure) {
          taker.fail(failure);
          return;
        }
        mine = taker;
        sink = taker;
        const room = replay(taker);
        // It may have had enough of it meanwhile.
        if (sink !== taker) return;
        if (ended) intake.end();
        else if (room) flow();
        else blocked = true;
      },
      resume() {
        if (sink && sink === mine) flow();
      },
      abort() {
        if (sink !== mine) return;
        sink = undefined;
        rest();
      },
    };
  };

  return {
    length,
    get replayable() {
      return !overflowed && (length === undefined || length <= limits.keepBytes);
    },
    get untouched() {
      return keptBytes === 0;
    },
    open: () => ({ length, source: player() }),
    abandon() {
      rest();
      sink = undefined;
      kept = [];
      overflowed = true;
      source.abort();
    },
  };
};
