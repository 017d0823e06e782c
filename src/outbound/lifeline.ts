/** Holds one dialling together: a timer, the stop or an error ends it at once and leaves no socket behind (G02, G08). */
import type { Socket } from 'node:net';
import { Fault } from '../model/errors.ts';
import type { Clock, Stop, Timer } from '../pipeline/ports.ts';

export interface Lifeline {
  /** What cut it. */
  readonly broken: Error | undefined;
  /** Set once connected: where the attempt left. */
  exit: string | undefined;
  /** The socket to destroy when the line is cut. A wrapping TLS socket takes the place of the one below it. */
  own(socket: Socket): void;
  /**
   * Runs one step. `start` gets what to call when it is done or failed and returns what takes its listeners off.
   * Rejects with `explain(error)`, or with what cut the line.
   */
  step<T>(explain: (error: unknown) => Error, start: Start<T>): Promise<T>;
  /** Limits what follows to `ms`, until the next call replaces or (`undefined`) lifts the limit. */
  limit(ms: number | undefined, late: () => Fault): void;
  /** Ends the dialling from outside. */
  cut(error: Error): void;
  /** It succeeded: nothing here touches the socket any more. The stop still listens until the next step takes it over. */
  release(): void;
}

type Start<T> = (done: (value: T) => void, fail: (error: unknown) => void) => (() => void) | undefined;

/** `headMs` bounds the whole of it. */
export const makeLifeline = (clock: Clock, stop: Stop, headMs: number): Lifeline => {
  let socket: Socket | undefined;
  let broken: Error | undefined;
  let over = false;
  let breakStep: ((error: Error) => void) | undefined;
  let phase: Timer | undefined;
  const whole = clock.after(Math.max(0, headMs), () =>
    cut(new Fault('timeout', { reason: 'no connection to the target in time' })),
  );

  const cancelTimers = (): void => {
    whole.cancel();
    phase?.cancel();
    phase = undefined;
  };
  const cut = (error: Error): void => {
    if (over) return;
    over = true;
    broken = error;
    cancelTimers();
    socket?.destroy();
    stop.listen(undefined);
    breakStep?.(error);
  };
  stop.listen(cut);

  return {
    exit: undefined,
    get broken() {
      return broken;
    },
    own(next) {
      if (next !== socket) next.on('error', () => {});
      socket = next;
      if (broken) next.destroy();
    },
    step: (explain, start) =>
      new Promise((resolve, reject) => {
        if (broken) {
          reject(broken);
          return;
        }
        let cleanUp: (() => void) | undefined;
        let settled = false;
        const settle = (): boolean => {
          if (settled) return false;
          settled = true;
          breakStep = undefined;
          cleanUp?.();
          return true;
        };
        breakStep = (error) => {
          if (settle()) reject(error);
        };
        const done = (value: Parameters<typeof resolve>[0]): void => {
          if (settle()) resolve(value);
        };
        const fail = (error: unknown): void => {
          if (settle()) reject(explain(error));
        };
        cleanUp = start(done, fail);
        if (settled) cleanUp?.();
      }),
    limit(ms, late) {
      phase?.cancel();
      phase = ms === undefined || over ? undefined : clock.after(ms, () => cut(late()));
    },
    cut,
    release() {
      over = true;
      cancelTimers();
    },
  };
};

/** Ends a line whose step failed: its socket and timers go, the error stays what it was. */
export const failLine = (line: Lifeline, error: unknown): Error => {
  const reason = error instanceof Error ? error : new Error(String(error));
  if (reason instanceof Fault) reason.exit ??= line.exit;
  line.cut(reason);
  return reason;
};
