/** Whether Redis can be asked: opening, up or away, and the way back without a restart (robustness G14). */
import type { Wire, WireEvents } from './redis.ts';
import { makeQuestions, reasonOf, storeLost } from './redis-questions.ts';
import type { ScriptName } from './redis-scripts.ts';

export type Arg = string | number;

type Send = (script: ScriptName, keys: readonly string[], args: readonly Arg[]) => Promise<unknown>;

export interface Link {
  /** One script, one round trip. Rejects with `Refusal` serverbusy within `answerMs` when Redis does not answer. */
  readonly call: Send;
  /** The same whether or not Redis is thought to be there: for `greet`. */
  readonly probe: Send;
  /** Resolves when it is known whether Redis is there. */
  readonly settled: Promise<void>;
  isUp(): boolean;
  /** Asking now would fail at once. */
  isAway(): boolean;
  close(): void;
}

export interface LinkOptions {
  readonly open: (events: WireEvents) => Wire;
  /** Brings Redis up to date about this process. It counts as up when that succeeded. */
  readonly greet: (link: Link) => Promise<void>;
  readonly onLost: (reason: string) => void;
  readonly onBack: () => void;
  /** Nobody waits longer than this for Redis. */
  readonly answerMs: number;
}

/** So long a first connection may take before Redis counts as away. */
const OPENING_MS = 1_000;
/** While it is away it is greeted this often, */
const GREET_MS = 300;
/** and over a new connection when a greeting is not answered for so long. */
const STUCK_MS = 1_000;

type State = 'opening' | 'up' | 'away' | 'closed';

export const openLink = ({ open, greet, onLost, onBack, answerMs }: LinkOptions): Link => {
  let state: State = 'opening';
  /** A greeting without a connection would fail for a reason that tells nobody anything. */
  let connected = false;
  let greeting = false;
  const openedAt = performance.now();
  let opened: (() => void)[] = [];
  /** When the first greeting that Redis has not answered was sent; 0 = none. */
  let unansweredSince = 0;
  let unanswered = 0;

  const enter = (next: State): void => {
    state = next;
    const waiting = opened;
    opened = [];
    for (const go of waiting) go();
  };

  const lose = (reason: string): void => {
    if (state === 'closed' || state === 'away') return;
    enter('away');
    questions.failAll(reason);
    onLost(reason);
    if (/\bREADONLY\b/.test(reason)) wire.reconnect();
  };

  const questions = makeQuestions(lose);

  const isStuck = (): boolean => {
    if (unanswered === 0) return false;
    if (performance.now() - unansweredSince < STUCK_MS) return true;
    unanswered = 0;
    wire.reconnect();
    return true;
  };

  const greetNow = (): void => {
    if (!connected || greeting || state === 'up' || state === 'closed' || isStuck()) return;
    greeting = true;
    greet(link)
      .then(() => {
        if (state === 'away') onBack();
        if (state !== 'closed') enter('up');
      })
      .catch((error: unknown) => lose(reasonOf(error)))
      .finally(() => {
        greeting = false;
      });
  };

  const wire = open({
    ready: () => {
      connected = true;
      greetNow();
    },
    lost: (reason) => {
      connected = false;
      unanswered = 0;
      questions.failAll(reason);
      lose(reason);
    },
  });

  const timer = setInterval(() => {
    if (state === 'opening' && performance.now() - openedAt > OPENING_MS) lose('no connection');
    greetNow();
  }, GREET_MS);
  timer.unref();

  const settled = new Promise<void>((resolve) => opened.push(resolve));

  const whenOpened = async (since: number): Promise<number> => {
    await new Promise<void>((resolve) => {
      const limit = setTimeout(resolve, answerMs);
      opened.push(() => {
        clearTimeout(limit);
        resolve();
      });
    });
    return Math.max(1, answerMs - (performance.now() - since));
  };

  const run: Send = (script, keys, args) => {
    if (unanswered++ === 0) unansweredSince = performance.now();
    const answer = wire.run(script, keys, args);
    const settle = (): void => {
      unanswered = Math.max(0, unanswered - 1);
    };
    answer.then(settle, settle);
    return answer;
  };

  const call: Send = (script, keys, args) => {
    if (state === 'up') return questions.ask(() => wire.run(script, keys, args), answerMs);
    if (state !== 'opening') return Promise.reject(storeLost('away'));
    return whenOpened(performance.now()).then((leftMs) => {
      if (state !== 'up') throw storeLost('away');
      return questions.ask(() => wire.run(script, keys, args), leftMs);
    });
  };

  const link: Link = {
    call,
    probe: (script, keys, args) => questions.ask(() => run(script, keys, args), answerMs),
    settled,
    isUp: () => state === 'up',
    isAway: () => state === 'away',
    close: () => {
      enter('closed');
      clearInterval(timer);
      questions.failAll('closed');
      wire.close();
    },
  };
  return link;
};
