/**
 * Admission, turns and bans on a Redis Cluster, where a website may live on another node than seats and sessions: the
 * house's step first, then the website's, and a third where a session comes to life. What a step before took is given back
 * when the next one refuses or fails.
 */
import type { Ask } from '../pipeline/ports.ts';
import type { Admission, Granted, Refused, TurnAnswer, Wish } from '../pipeline/store-port.ts';
import { looksLikeId } from '../policy/sessions.ts';
import type { Pacing } from './redis-common.ts';
import { siteTags, tagKeys } from './redis-keys.ts';
import type { Arg } from './redis-link.ts';
import type { PoolImage } from './redis-pool.ts';
import type { Steps, Words } from './redis-steps.ts';
import { askArgs, cameAt, readAdmission, readRefusal, readTurn, SESSION_AT, wishArgs } from './redis-words.ts';
import { refused } from './verdict.ts';

/** What the house says of a request's session, as scripts/facts.lua wants it. */
type Facts = readonly [by: string, exit: string, id: string];

/** Jars may be on another node: they are asked for. */
const NO_COOKIES = '';

const NO_SESSION: Facts = ['', '', ''];

const withFacts = (args: Arg[], facts: Facts): Arg[] => {
  args.splice(SESSION_AT, facts.length, ...facts);
  return args;
};

const idOf = ([, , id]: Facts): string | undefined => (id === '' ? undefined : id);

export const makeCluster = (steps: Steps): Pacing => {
  const { desk, random, settings, site, house, newId } = steps;

  /** Nobody waits for this; after a failure Redis is told what is held when it is back. */
  const giveBack = ({ account, website }: Ask, session: string | undefined): void => {
    steps.leave({ account, website, session, making: false, upstream: undefined }).catch(() => undefined);
  };

  const enter = async (ask: Ask, overloaded: boolean, image: PoolImage): Promise<Facts | Refused> => {
    const args = [settings().sessionIdleMs, overloaded ? '1' : '', ...askArgs(ask, newId(ask))];
    const answer = (await steps.admit('enter', undefined, [ask.account], args, image)) as Words;
    if (answer[0] !== 'in') return readRefusal(answer, ask);
    const [, id = '', exit = ''] = answer;
    steps.seated(ask.account);
    if (id !== '') steps.entered(ask.account, id);
    return [ask.session?.by ?? '', exit, id];
  };

  const look = async (wishes: readonly Wish[], image: PoolImage): Promise<Facts[]> => {
    const asked = wishes.filter(({ ask }) => ask.session !== undefined);
    if (asked.length === 0) return wishes.map(() => NO_SESSION);
    const args: Arg[] = [settings().sessionIdleMs, asked.length];
    for (const { ask, session, used } of asked) {
      args.push(...askArgs(ask, newId(ask)), session ?? '', used === undefined ? '1' : '');
    }
    const accounts = new Set(asked.map(({ ask }) => ask.account));
    const answers = (await house('look', accounts, args, image)) as Words[];
    return wishes.map(({ ask, session }) => {
      if (ask.session === undefined) return NO_SESSION;
      const [id = '', exit = ''] = answers[asked.findIndex((wish) => wish.ask === ask)] as Words;
      return id === 'no' ? ['no', exit, session ?? ''] : [ask.session.by, exit, id];
    });
  };

  /** The session of a request that goes out comes to life, and counts it. */
  const bind = async (ask: Ask, granted: Granted, before: string | undefined, image: PoolImage): Promise<void> => {
    const { session, upstream } = granted;
    if (session === undefined) return;
    const enters = session !== before ? '1' : '';
    await house('bind', [ask.account], [settings().sessionIdleMs, ask.account, session, upstream.id, enters], image);
  };

  const noteGrant = async (wish: Wish, verdict: Admission, image: PoolImage): Promise<void> => {
    steps.noted(wish, verdict);
    const changes = verdict.kind === 'go' && (verdict.session !== wish.session || (verdict.making && !wish.making));
    if (changes) await bind(wish.ask, verdict, wish.session, image);
  };

  const pace = async (ask: Ask, facts: Facts, image: PoolImage): Promise<Admission> => {
    const { sessionIdleMs, hardLimitMs } = settings();
    const args = withFacts(askArgs(ask, ''), facts);
    args.unshift(ask.website, random(), sessionIdleMs, NO_COOKIES, hardLimitMs, '');
    const answer = (await site('admit@', ask.website, [], args, image)) as Words;
    const admission = readAdmission(answer, ask, image.pool);
    if (admission.kind === 'wait') steps.countIn(ask, admission.waitsFor, cameAt(answer));
    return admission;
  };

  const factsOf = async (ask: Ask, session: string | undefined, image: PoolImage): Promise<Facts> => {
    if (session === undefined) return NO_SESSION;
    const args = [
      settings().sessionIdleMs,
      1,
      ...askArgs({ ...ask, session: { by: 'id', id: session } }, ''),
      session,
      '',
    ];
    const [[id = '', exit = ''] = []] = (await house('look', [ask.account], args, image)) as Words[];
    return id === 'no' ? NO_SESSION : ['id', exit, id];
  };

  return {
    admit: async (ask, overloaded) => {
      const { session } = ask;
      if (session?.by === 'id' && !looksLikeId(session.id)) return refused('bad_session_id', session.id, undefined);
      const image = desk.image();
      const facts = await enter(ask, overloaded, image);
      if ('kind' in facts) return facts;
      try {
        const admission = await pace(ask, facts, image);
        if (admission.kind === 'refused') giveBack(ask, idOf(facts));
        if (admission.kind === 'go' && admission.making) await bind(ask, admission, admission.session, image);
        return admission;
      } catch (error) {
        giveBack(ask, idOf(facts));
        throw error;
      }
    },
    retry: async (wish) => {
      const { ask } = wish;
      const image = desk.image();
      const [facts = NO_SESSION] = await look([wish], image);
      const args = [
        ask.website,
        random(),
        settings().sessionIdleMs,
        NO_COOKIES,
        ...withFacts(wishArgs(wish, '', steps.ages), facts),
      ];
      const answer = (await site('retry@', ask.website, [], args, image)) as Words;
      const admission = readAdmission(answer, ask, image.pool);
      await noteGrant(wish, admission, image);
      return admission;
    },
    turn: async (website, wishes): Promise<TurnAnswer> => {
      const image = desk.image();
      const facts = await look(wishes, image);
      const args: Arg[] = [website, random(), settings().sessionIdleMs, NO_COOKIES, wishes.length];
      for (const [i, wish] of wishes.entries())
        args.push(...withFacts(wishArgs(wish, '', steps.ages), facts[i] ?? NO_SESSION));
      const answers = await site('turn@', website, [], args, image);
      const turn = readTurn(answers as (string | Words)[], wishes, image.pool);
      if (turn.settled) {
        const wish = wishes[turn.settled.index] as Wish;
        steps.countOut(wish);
        await noteGrant(wish, turn.settled.verdict, image);
      }
      return turn;
    },
    ban: async ({ ask, session, making, upstream, rule }) => {
      const image = desk.image();
      const facts = await factsOf(ask, session, image);
      const head = [ask.website, random(), settings().banMs, upstream.id, rule, facts[2], making ? '1' : ''];
      const args = [...head, ...withFacts(askArgs(ask, ''), facts)];
      const [again, began] = (await site('banned@', ask.website, [], args, image)) as Words;
      return { retryAfterMs: Number(again), stormBegan: began === '1' };
    },
    outlook: async (ask, session) => {
      const image = desk.image();
      const facts = await factsOf(ask, session, image);
      const args = [ask.website, random(), facts[2], ...withFacts(askArgs(ask, ''), facts)];
      return Number(await site('outlook@', ask.website, [], args, image));
    },
    fail: async (upstreamId) => {
      const image = desk.image();
      const downMs = await house('fail', [], [upstreamId, settings().upstreamDownMs], image);
      if (downMs === '0') return false;
      const copy = (tag: string): Promise<unknown> =>
        desk.ask('down', tagKeys(tag, desk.node, image.version), [upstreamId, downMs as string], image);
      await Promise.all(siteTags(true).map(copy));
      return true;
    },
  };
};
