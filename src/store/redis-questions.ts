/** What was sent to Redis and is not answered yet: each has a deadline, and all fail together when Redis is lost. */
import { Refusal } from '../model/errors.ts';
import { OVERLOAD_RETRY_MS } from '../policy/pacing.ts';

/** Nobody waits longer than this for Redis (robustness G14). */
export const ANSWER_MS = 250;

/** What clients get while Redis is away: never a 407 (U-09). */
export const storeLost = (reason: string): Refusal =>
  new Refusal('serverbusy', { retryAfterMs: OVERLOAD_RETRY_MS, reason: `store: ${reason}` });

/** Starts of Redis' error replies that say it is in trouble itself; any other reply of that kind is a bug of ours. */
const TROUBLE =
  /\b(?:READONLY|LOADING|OOM|MISCONF|BUSY|CLUSTERDOWN|MASTERDOWN|TRYAGAIN|NOREPLICAS|NOAUTH|NOPERM|WRONGPASS)\b|max number of clients/;

const isBug = (error: Error): boolean => error.name === 'ReplyError' && !TROUBLE.test(error.message);

export const reasonOf = (error: unknown): string =>
  error instanceof Error ? (error.message.split('\n', 1)[0] as string) : 'lost';

export interface Questions {
  /** Resolves with the answer; rejects with `storeLost` after `withinMs`, or when `failAll` is called. */
  ask(run: () => Promise<unknown>, withinMs: number): Promise<unknown>;
  failAll(reason: string): void;
}

/** `onTrouble` hears of everything that says Redis is not usable. */
export const makeQuestions = (onTrouble: (reason: string) => void): Questions => {
  const open = new Set<(error: Error) => void>();

  const ask = (run: () => Promise<unknown>, withinMs: number): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const fail = (error: Error): void => {
        if (close()) reject(error);
      };
      const close = (): boolean => {
        clearTimeout(timer);
        return open.delete(fail);
      };
      const tooLate = (): void => {
        if (open.has(fail)) onTrouble(`no answer within ${Math.ceil(withinMs)} ms`);
        fail(storeLost('no answer in time'));
      };
      // After a long turn of our own loop the answer may be there already: it is read before this fires.
      const timer = setTimeout(() => setImmediate(tooLate), withinMs);
      open.add(fail);
      run().then(
        (answer) => {
          if (close()) resolve(answer);
        },
        (error: Error) => {
          if (isBug(error)) return fail(error);
          if (open.has(fail)) onTrouble(reasonOf(error));
          return fail(storeLost(reasonOf(error)));
        },
      );
    });

  return {
    ask,
    failAll: (reason) => {
      for (const fail of [...open]) fail(storeLost(reason));
    },
  };
};
