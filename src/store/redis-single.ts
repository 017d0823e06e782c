/** Admission, turns and bans on a single Redis: one script, one round trip. */
import type { TurnAnswer, Wish } from '../pipeline/store-port.ts';
import { siteOf } from '../policy/cookies.ts';
import { looksLikeId } from '../policy/sessions.ts';
import type { Pacing } from './redis-common.ts';
import type { Steps, Words } from './redis-steps.ts';
import { askArgs, cameAt, readAdmission, readTurn, wishArgs } from './redis-words.ts';
import { refused } from './verdict.ts';

export const makeSingle = (steps: Steps): Pacing => {
  const { desk, random, settings, site, house, newId } = steps;

  /** Accounts whose sessions a step touches. */
  const accountsOf = (wishes: readonly Wish[]): Set<string> =>
    new Set(wishes.filter(({ ask }) => ask.session).map(({ ask }) => ask.account));

  return {
    admit: async (ask, overloaded) => {
      const { session, account, website } = ask;
      if (session?.by === 'id' && !looksLikeId(session.id)) return refused('bad_session_id', session.id, undefined);
      const image = desk.image();
      const { sessionIdleMs, hardLimitMs } = settings();
      const args = askArgs(ask, newId(ask));
      args.unshift(website, random(), sessionIdleMs, siteOf(website), hardLimitMs, overloaded ? '1' : '');
      const answer = (await steps.admit('admit', website, session ? [account] : [], args, image)) as Words;
      const admission = readAdmission(answer, ask, image.pool);
      if (admission.kind === 'refused') return admission;
      steps.jars.brought(ask, answer);
      steps.seated(account);
      steps.entered(account, admission.session);
      if (admission.kind === 'wait') steps.countIn(ask, admission.waitsFor, cameAt(answer));
      return admission;
    },
    retry: async (wish) => {
      const { ask } = wish;
      const image = desk.image();
      const args = [
        ask.website,
        random(),
        settings().sessionIdleMs,
        siteOf(ask.website),
        ...wishArgs(wish, newId(ask), steps.ages),
      ];
      const answer = (await site('retry', ask.website, accountsOf([wish]), args, image)) as Words;
      const admission = readAdmission(answer, ask, image.pool);
      steps.jars.brought(ask, answer);
      steps.noted(wish, admission);
      return admission;
    },
    turn: async (website, wishes): Promise<TurnAnswer> => {
      const image = desk.image();
      const head = [website, random(), settings().sessionIdleMs, siteOf(website), wishes.length];
      const args = [...head, ...wishes.flatMap((wish) => wishArgs(wish, newId(wish.ask), steps.ages))];
      const answers = (await site('turn', website, accountsOf(wishes), args, image)) as (string | Words)[];
      const turn = readTurn(answers, wishes, image.pool);
      if (turn.settled) {
        const wish = wishes[turn.settled.index] as Wish;
        steps.jars.brought(wish.ask, answers[turn.settled.index] as Words);
        steps.countOut(wish);
        steps.noted(wish, turn.settled.verdict);
      }
      return turn;
    },
    ban: async ({ ask, session, making, upstream, rule }) => {
      const image = desk.image();
      const head = [ask.website, random(), settings().banMs, upstream.id, rule, session ?? '', making ? '1' : ''];
      const accounts = session === undefined ? [] : [ask.account];
      const answer = await site('banned', ask.website, accounts, [...head, ...askArgs(ask, '')], image);
      const [again, began] = answer as Words;
      return { retryAfterMs: Number(again), stormBegan: began === '1' };
    },
    outlook: async (ask, session) => {
      const args = [ask.website, random(), session ?? '', ...askArgs(ask, '')];
      const accounts = session === undefined ? [] : [ask.account];
      return Number(await site('outlook', ask.website, accounts, args, desk.image()));
    },
    fail: async (upstreamId) =>
      (await house('fail', [], [upstreamId, settings().upstreamDownMs], desk.image())) !== '0',
  };
};
