/** One process with a store, as the proxy has it: lets requests in and out as fast as it can, from website to website. */

import { setTimeout as sleep } from 'node:timers/promises';
import type { Ask } from '../../src/pipeline/ports.ts';
import type { Admission, Store } from '../../src/pipeline/store-port.ts';
import { realClock } from '../../src/store/clock.ts';
import { openMemoryStore } from '../../src/store/memory.ts';
import { openRedisStore } from '../../src/store/redis-open.ts';
import { readRedisUrl } from '../../src/store/redis-url.ts';
import { ask, poolOf, STORE_SETTINGS, upstreams } from '../support/store-house.ts';

export interface AdmissionSetup {
  readonly type: 'open';
  /** `memory` or a Redis URL. */
  readonly store: string;
  readonly upstreams: number;
  readonly websites: number;
}

export type AdmissionOrder =
  | AdmissionSetup
  /** Each website once. */
  | { readonly type: 'visit' }
  | { readonly type: 'run'; readonly ms: number };

export interface AdmissionAnswer {
  readonly grants: number;
  readonly error: string | undefined;
}

/** Requests under way at a remote store. */
const AT_ONCE = 32;
/** A memory store answers at once: the clock is looked at this rarely. */
const STRETCH = 500;
/** Patience for a busy machine; a store that is lost fails the run. */
const ANSWER_MS = 20_000;
/** Shares no divisor with the numbers of websites, so that every website has its turn. */
const STRIDE = 7_919;

let store: Store | undefined;
let asks: readonly Ask[] = [];
let next = 0;

const open = (setup: AdmissionSetup): Store => {
  const pool = poolOf(upstreams(setup.upstreams));
  const parts = { random: Math.random, pool: () => pool, settings: () => STORE_SETTINGS };
  const location = readRedisUrl(setup.store);
  return location
    ? openRedisStore({ ...parts, location, answerMs: ANSWER_MS })
    : openMemoryStore({ ...parts, clock: realClock });
};

/** The pool of a large configuration takes Redis a moment. */
const untilThere = async (at: Store): Promise<void> => {
  const giveUpAt = Date.now() + ANSWER_MS;
  for (;;) {
    try {
      await at.listSessions('nobody');
      return;
    } catch (error) {
      if (Date.now() > giveUpAt) throw error;
      await sleep(50);
    }
  }
};

const check = ({ kind }: Admission): void => {
  if (kind !== 'go') throw new Error(`a request was not let in: ${kind}`);
};

const nextAsk = (): Ask => asks[(next++ * STRIDE) % asks.length] as Ask;

const leavingOf = ({ account, website }: Ask) => ({
  account,
  website,
  session: undefined,
  making: false,
  upstream: undefined,
});

/** Until `isOver`, which is asked now and then. */
const pass = async (at: Store, isOver: (grants: number) => boolean): Promise<number> => {
  let grants = 0;
  let over = false;
  const one = (): Admission | Promise<Admission> => {
    const wanted = nextAsk();
    const done = (admission: Admission): Admission => {
      check(admission);
      grants++;
      void at.leave(leavingOf(wanted));
      return admission;
    };
    const answer = at.admit(wanted, false);
    return answer instanceof Promise ? answer.then(done) : done(answer);
  };
  const many = async (): Promise<void> => {
    while (!over) {
      for (let i = 0; i < STRETCH && !over; i++) {
        const answer = one();
        if (answer instanceof Promise) {
          await answer;
          over ||= isOver(grants);
        }
      }
      over ||= isOver(grants);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, many));
  return grants;
};

const obey = async (order: AdmissionOrder): Promise<number> => {
  if (order.type === 'open') {
    store = open(order);
    asks = Array.from({ length: order.websites }, (_, i) =>
      ask({ website: `s${i}.localhost`, siteDelayMs: 0, slaveDelayMs: 0 }),
    );
    await untilThere(store);
    return 0;
  }
  if (!store) throw new Error('no store yet');
  if (order.type === 'visit') return pass(store, (grants) => grants >= asks.length);
  const until = performance.now() + order.ms;
  return pass(store, () => performance.now() >= until);
};

process.on('message', (order: AdmissionOrder) => {
  obey(order).then(
    (grants) => process.send?.({ grants, error: undefined } satisfies AdmissionAnswer),
    (error: Error) => process.send?.({ grants: 0, error: error.message } satisfies AdmissionAnswer),
  );
});
process.once('disconnect', () => process.exit(0));
