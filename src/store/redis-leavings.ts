/**
 * Requests that have left and are not told to Redis yet. Nobody waits for that, so they ride on the next admission; where
 * none comes within moments they go by themselves.
 */
import type { Leaving } from '../pipeline/store-port.ts';
import type { Arg } from './redis-link.ts';

export interface Leavings {
  /** Resolves when Redis knows. */
  add(leaving: Leaving): Promise<void>;
  /** Those not told yet, for a message that goes out now and tells them; `undefined` = none. */
  take(): Batch | undefined;
  /** Sends them off, so that what is asked next knows of them. */
  flush(): void;
}

export interface Batch {
  /** Four a request: see scripts/house.lua, leaveAll. */
  readonly args: Arg[];
  /** Accounts whose sessions are touched. */
  readonly accounts: readonly string[];
  told(answer: Promise<unknown>): void;
}

/** How long one waits for company. */
const RIDE_MS = 3;

/** More than these make a message of their own. */
const FULL = 64;

interface Open extends Batch {
  readonly accounts: string[];
  count: number;
  readonly done: Promise<void>;
}

const openBatch = (): Open => {
  let resolve: () => void = () => undefined;
  let reject: (error: unknown) => void = () => undefined;
  const done = new Promise<void>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  done.catch(() => undefined);
  return { args: [], accounts: [], count: 0, done, told: (answer) => void answer.then(() => resolve(), reject) };
};

export const makeLeavings = (send: (batch: Batch) => Promise<unknown>): Leavings => {
  let open: Open | undefined;
  let timer: NodeJS.Timeout | undefined;

  const take = (): Open | undefined => {
    const batch = open;
    open = undefined;
    clearTimeout(timer);
    timer = undefined;
    return batch;
  };

  const flush = (): void => {
    const batch = take();
    if (batch) batch.told(send(batch));
  };

  return {
    add: ({ account, session, making, upstream }) => {
      const batch = open ?? openBatch();
      open = batch;
      batch.args.push(account, session ?? '', making ? '1' : '', upstream ?? '');
      if (session !== undefined) batch.accounts.push(account);
      if (++batch.count >= FULL) flush();
      else timer ??= setTimeout(flush, RIDE_MS);
      return batch.done;
    },
    take,
    flush,
  };
};
