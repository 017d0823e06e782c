/** The operations that are one step on a single Redis and on a cluster alike. */
import type { OpenedSession, Refused, Store } from '../pipeline/store-port.ts';
import { slowedBy } from '../policy/pacing.ts';
import { looksLikeId, newSessionId } from '../policy/sessions.ts';
import { makeRedisCookies } from './redis-cookies.ts';
import type { PoolImage } from './redis-pool.ts';
import type { Steps, Words } from './redis-steps.ts';
import { readRefusal } from './redis-words.ts';

/** The operations that need the house and a website: one step or two. */
export type Pacing = Pick<Store, 'admit' | 'retry' | 'turn' | 'ban' | 'outlook' | 'fail'>;

const readOpened = (answer: Words, { pool }: PoolImage): OpenedSession | Refused => {
  if (answer[0] !== 'made') return readRefusal(answer, undefined);
  const [, id = '', exit = ''] = answer;
  const upstream = pool.byId(exit);
  if (!upstream) throw new Error('the store opened a session on an unknown upstream');
  return { id, upstream };
};

const readList = (answer: Words, { pool }: PoolImage): OpenedSession[] => {
  const listed: OpenedSession[] = [];
  for (let i = 1; i < answer.length; i += 2) {
    const upstream = pool.byId(answer[i + 1] as string);
    if (upstream) listed.push({ id: answer[i] as string, upstream });
  }
  return listed;
};

export const makeCommon = (steps: Steps): Omit<Store, keyof Pacing> => {
  const { desk, random, settings, cluster, house, site, countOut, ages, jars } = steps;
  return {
    unwait: async (wish) => {
      const { ask, waitsFor } = wish;
      if (waitsFor === undefined) return;
      const last = ages.after(wish) === undefined ? '1' : '';
      countOut(wish);
      await site('unwait', ask.website, [], [ask.website, ask.account, waitsFor, last], desk.image());
    },
    leave: steps.leave,
    slow: async (account, website, ms) => {
      const args = [website, random(), account, slowedBy(ms, settings().softLimitMs)];
      await site('slow', website, [], args, desk.image());
    },
    openSession: async (account, maxSessions, region) => {
      const image = desk.image();
      const args = [settings().sessionIdleMs, account, maxSessions, region ?? '', newSessionId(random)];
      return readOpened((await house('open', [account], args, image)) as Words, image);
    },
    listSessions: async (account) => {
      const image = desk.image();
      return readList((await house('list', [account], [settings().sessionIdleMs, account], image)) as Words, image);
    },
    closeSession: async (account, id) => {
      if (!looksLikeId(id)) return false;
      return (await house('close', [account], [settings().sessionIdleMs, account, id], desk.image())) === 1;
    },
    cookies: makeRedisCookies({ desk, cluster, settings, jars }),
    close: () => {
      steps.flush();
      return desk.stop();
    },
  };
};
