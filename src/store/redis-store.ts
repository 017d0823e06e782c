/** The store on a single Redis: one script a step, one round trip. */
import type { Random } from '../pipeline/ports.ts';
import type { OpenedSession, Refused, Store, StoreSettings, TurnAnswer, Wish } from '../pipeline/store-port.ts';
import { slowedBy } from '../policy/pacing.ts';
import { looksLikeId, newSessionId } from '../policy/sessions.ts';
import { makeRedisCookies } from './redis-cookies.ts';
import type { Desk } from './redis-desk.ts';
import { runField, seatField, waitField } from './redis-holdings.ts';
import { accountKeys, HOUSE, houseKeys, siteKeys } from './redis-keys.ts';
import type { PoolImage } from './redis-pool.ts';
import { askArgs, readAdmission, readRefusal, readVerdict, wishArgs } from './redis-words.ts';
import { refused } from './verdict.ts';

export interface SingleOptions {
  readonly desk: Desk;
  readonly random: Random;
  readonly settings: () => StoreSettings;
}

type Words = readonly string[];

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

export const makeSingleStore = ({ desk, random, settings }: SingleOptions): Store => {
  const { holdings, node } = desk;

  const newId = ({ session }: { session: { by: string } | undefined }): string =>
    session === undefined || session.by === 'id' ? '' : newSessionId(random);

  const keysFor = (image: PoolImage, website: string | undefined, accounts: Iterable<string>): string[] => {
    const keys = houseKeys(HOUSE, node, image.version);
    if (website !== undefined) keys.push(...siteKeys(HOUSE, website));
    for (const account of accounts) keys.push(...accountKeys(account));
    return keys;
  };

  const enterRun = (account: string, session: string | undefined): void => {
    if (session !== undefined) holdings.take(HOUSE, runField(account, session));
  };

  const countIn = (website: string, account: string, waitsFor: string): void =>
    holdings.take(HOUSE, waitField(website, account, waitsFor));

  const countOut = ({ ask, waitsFor }: Wish): void => {
    if (waitsFor !== undefined) holdings.give(HOUSE, waitField(ask.website, ask.account, waitsFor));
  };

  return {
    admit: async (ask, overloaded) => {
      const { session, account, website } = ask;
      if (session?.by === 'id' && !looksLikeId(session.id)) return refused('bad_session_id', session.id, undefined);
      const image = desk.image();
      const keys = keysFor(image, website, session ? [account] : []);
      const { sessionIdleMs, hardLimitMs } = settings();
      const head = [website, random(), sessionIdleMs, hardLimitMs, overloaded ? '1' : ''];
      const answer = (await desk.ask('admit', keys, [...head, ...askArgs(ask, newId(ask))], image)) as Words;
      const admission = readAdmission(answer, ask, image.pool);
      if (admission.kind === 'refused') return admission;
      holdings.take(HOUSE, seatField(account));
      enterRun(account, admission.session);
      if (admission.kind === 'wait') countIn(website, account, admission.waitsFor);
      return admission;
    },
    retry: async (wish) => {
      const { ask } = wish;
      const image = desk.image();
      const keys = keysFor(image, ask.website, ask.session ? [ask.account] : []);
      const head = [ask.website, random(), settings().sessionIdleMs];
      const answer = (await desk.ask('retry', keys, [...head, ...wishArgs(wish, newId(ask))], image)) as Words;
      const admission = readAdmission(answer, ask, image.pool);
      if (admission.kind === 'wait') countIn(ask.website, ask.account, admission.waitsFor);
      if (admission.kind === 'go' && admission.session !== wish.session) enterRun(ask.account, admission.session);
      return admission;
    },
    turn: async (website, wishes): Promise<TurnAnswer> => {
      const image = desk.image();
      const accounts = new Set(wishes.filter((wish) => wish.ask.session).map((wish) => wish.ask.account));
      const keys = keysFor(image, website, accounts);
      const head = [website, random(), settings().sessionIdleMs, wishes.length];
      const args = [...head, ...wishes.flatMap((wish) => wishArgs(wish, newId(wish.ask)))];
      const answers = (await desk.ask('turn', keys, args, image)) as (string | Words)[];
      const index = answers.length - 1;
      const last = answers[index];
      if (typeof last !== 'object') return { settled: undefined, askInMs: answers.map(Number) };
      const wish = wishes[index] as Wish;
      const verdict = readVerdict(last, wish.ask, image.pool);
      countOut(wish);
      if (verdict.kind === 'go' && verdict.session !== wish.session) enterRun(wish.ask.account, verdict.session);
      return { settled: { index, verdict }, askInMs: answers.slice(0, index).map(Number) };
    },
    unwait: async (wish) => {
      const { ask, waitsFor } = wish;
      if (waitsFor === undefined) return;
      countOut(wish);
      const image = desk.image();
      await desk.ask('unwait', keysFor(image, ask.website, []), [ask.website, ask.account, waitsFor], image);
    },
    leave: async ({ account, session, making, upstream }) => {
      holdings.give(HOUSE, seatField(account));
      if (session !== undefined) holdings.give(HOUSE, runField(account, session));
      const image = desk.image();
      const args = [settings().sessionIdleMs, account, session ?? '', making ? '1' : '', upstream ?? ''];
      await desk.ask('leave', keysFor(image, undefined, session === undefined ? [] : [account]), args, image);
    },
    ban: async ({ ask, session, making, upstream, rule }) => {
      const image = desk.image();
      const keys = keysFor(image, ask.website, session === undefined ? [] : [ask.account]);
      const head = [ask.website, random(), settings().banMs, upstream.id, rule, session ?? '', making ? '1' : ''];
      const [again, began] = (await desk.ask('banned', keys, [...head, ...askArgs(ask, '')], image)) as Words;
      return { retryAfterMs: Number(again), stormBegan: began === '1' };
    },
    outlook: async (ask, session) => {
      const image = desk.image();
      const keys = keysFor(image, ask.website, session === undefined ? [] : [ask.account]);
      return Number(
        await desk.ask('outlook', keys, [ask.website, random(), session ?? '', ...askArgs(ask, '')], image),
      );
    },
    fail: async (upstreamId) => {
      const image = desk.image();
      const args = [upstreamId, settings().upstreamDownMs];
      return (await desk.ask('fail', keysFor(image, undefined, []), args, image)) !== '0';
    },
    slow: async (account, website, ms) => {
      const image = desk.image();
      const args = [website, random(), account, slowedBy(ms, settings().softLimitMs)];
      await desk.ask('slow', keysFor(image, website, []), args, image);
    },
    openSession: async (account, maxSessions, region) => {
      const image = desk.image();
      const args = [settings().sessionIdleMs, account, maxSessions, region ?? '', newSessionId(random)];
      return readOpened((await desk.ask('open', keysFor(image, undefined, [account]), args, image)) as Words, image);
    },
    listSessions: async (account) => {
      const image = desk.image();
      const args = [settings().sessionIdleMs, account];
      return readList((await desk.ask('list', keysFor(image, undefined, [account]), args, image)) as Words, image);
    },
    closeSession: async (account, id) => {
      if (!looksLikeId(id)) return false;
      const image = desk.image();
      const args = [settings().sessionIdleMs, account, id];
      return (await desk.ask('close', keysFor(image, undefined, [account]), args, image)) === 1;
    },
    cookies: makeRedisCookies({ desk, cluster: false, settings }),
    close: () => desk.stop(),
  };
};
