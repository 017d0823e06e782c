/** Looks at the start of a response body before anything is delivered, and delivers it whole afterwards. */
import { Fault } from '../model/errors.ts';
import type { OpenCase } from '../policy/ban.ts';
import { decodeStart, decodeWithin } from '../policy/ban-decode.ts';
import { BODY_BYTES } from '../policy/ban-rule.ts';
import type { BodySink, BodySource, Clock, Soon, Stop, Timer } from './ports.ts';

/** What has come by then has to do. */
const PATIENCE_MS = 1_500;

/** Compressed pages are rarely smaller than an eighth: before that much is here no decoding is tried. */
const USUAL_RATIO = 8;

export interface Peeked {
  /** The start of the decoded body; `undefined` when it is broken or reaches beyond what the rules left look at. */
  readonly start: Buffer | undefined;
  /** The body from its first byte on, untouched. */
  readonly body: BodySource;
}

/**
 * Reads until the case can be judged: the body's end, `reach`, 64 KiB or 1.5 s. At once for a body that is there already.
 * A body that breaks is judged by what came and breaks for its reader in the same place.
 * Rejects with the stop's reason, the body then being given up, and with the `Fault` of a body that stalls (E-03).
 */
export const peek = (source: BodySource, open: OpenCase, clock: Clock, stop: Stop): Soon<Peeked> => {
  const body = new PeekedBody(source, open);
  source.start(body);
  if (body.decided) return { start: body.look(), body };
  return new Promise((resolve, reject) => {
    const timer = clock.after(PATIENCE_MS, () => body.decide());
    body.whenDecided = () => {
      timer.cancel();
      stop.listen(undefined);
      if (body.stalled) reject(body.stalled);
      else resolve({ start: body.look(), body });
    };
    listen(stop, timer, body, reject);
  });
};

const listen = (stop: Stop, timer: Timer, body: PeekedBody, reject: (reason: Error) => void): void =>
  stop.listen((reason) => {
    timer.cancel();
    stop.listen(undefined);
    body.abort();
    reject(reason);
  });

/** A class as its source is: one is made for every page looked at. */
class PeekedBody implements BodySource, BodySink {
  decided = false;
  whenDecided: (() => void) | undefined = undefined;
  private readonly source: BodySource;
  private readonly open: OpenCase;
  private held: Buffer[] = [];
  private size = 0;
  /** Bytes that have to be here before decoding is tried again. */
  private nextTry: number;
  private sink: BodySink | undefined = undefined;
  private ended = false;
  private broken: Error | undefined = undefined;
  private over = false;

  constructor(source: BodySource, open: OpenCase) {
    this.source = source;
    this.open = open;
    this.nextTry = Math.ceil(open.reach / USUAL_RATIO);
  }

  /** Stops holding back; the source waits for its reader. */
  decide(): void {
    if (this.decided || this.over) return;
    this.decided = true;
    this.whenDecided?.();
  }

  /** The target's silence, when it came while all was held back: it can still be told (E-03 msgtimeout). */
  get stalled(): Fault | undefined {
    return this.broken instanceof Fault && this.broken.condition === 'msgtimeout' ? this.broken : undefined;
  }

  /** What the rules may see of what is held. */
  look(): Buffer | undefined {
    if (this.held.length > 1) this.held = [Buffer.concat(this.held)];
    const bytes = this.held[0] ?? Buffer.alloc(0);
    const { coding, reach } = this.open;
    if (reach >= BODY_BYTES) return decodeStart(bytes, coding);
    const decoded = decodeWithin(bytes, coding, reach);
    return typeof decoded === 'string' ? undefined : decoded;
  }

  write(chunk: Buffer): boolean {
    if (this.sink !== undefined && this.held.length === 0) return this.sink.write(chunk);
    this.held.push(chunk);
    this.size += chunk.length;
    if (this.decided) return false;
    if (!this.hasEnough()) return true;
    this.decide();
    return false;
  }

  end(): void {
    this.ended = true;
    this.close();
  }

  fail(error: Error): void {
    this.broken = error;
    this.close();
  }

  start(sink: BodySink): void {
    this.sink = sink;
    this.replay(sink);
  }

  resume(): void {
    if (this.over || this.sink === undefined) return;
    if (this.held.length > 0) this.replay(this.sink);
    else this.source.resume();
  }

  abort(): void {
    if (this.over) return;
    this.over = true;
    this.held = [];
    this.source.abort();
  }

  /** True once no rule left can match, or no more is looked at. */
  private hasEnough(): boolean {
    const { coding, reach } = this.open;
    if (this.size >= BODY_BYTES) return true;
    if (coding === 'identity') return this.size > reach;
    if (reach >= BODY_BYTES || this.size < this.nextTry) return false;
    this.nextTry = 2 * this.size;
    this.held = [Buffer.concat(this.held)];
    return typeof decodeWithin(this.held[0] as Buffer, coding, reach) === 'string';
  }

  /** The source has nothing more to give. */
  private close(): void {
    if (this.over) return;
    this.decide();
    if (this.sink !== undefined && this.held.length === 0) this.finish(this.sink);
  }

  private replay(sink: BodySink): void {
    let room = true;
    while (this.held.length > 0 && room) {
      room = sink.write(this.held.shift() as Buffer);
      if (this.over) return;
    }
    if (this.held.length > 0) return;
    if (this.ended || this.broken) this.finish(sink);
    else if (room) this.source.resume();
  }

  private finish(sink: BodySink): void {
    this.over = true;
    if (this.broken) sink.fail(this.broken);
    else sink.end();
  }
}
