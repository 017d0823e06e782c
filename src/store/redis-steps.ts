/** What all operations on Redis share: which keys a step names, ids to propose, and keeping count of what is held. */
import type { Ask, Random } from '../pipeline/ports.ts';
import type { Admission, Leaving, StoreSettings, Wish } from '../pipeline/store-port.ts';
import { newSessionId } from '../policy/sessions.ts';
import { type Ages, makeAges } from './redis-ages.ts';
import type { Desk } from './redis-desk.ts';
import { runField, seatField, waitField } from './redis-holdings.ts';
import { type Jars, makeJars } from './redis-jars.ts';
import { accountKeys, HOUSE, houseKeys, siteKeys, siteTag, tagKeys } from './redis-keys.ts';
import { makeLeavings } from './redis-leavings.ts';
import type { Arg } from './redis-link.ts';
import type { PoolImage } from './redis-pool.ts';
import type { ScriptName } from './redis-scripts.ts';

/** A script's answer of several texts. */
export type Words = readonly string[];

export interface StepsOptions {
  readonly desk: Desk;
  readonly random: Random;
  readonly settings: () => StoreSettings;
  readonly cluster: boolean;
}

export interface Steps extends StepsOptions {
  readonly ages: Ages;
  readonly jars: Jars;
  /** A step of the house: seats, sessions. */
  house(script: ScriptName, accounts: Iterable<string>, args: Arg[], image: PoolImage): Promise<unknown>;
  /** A step of a website. On a single Redis it may touch the sessions of accounts as well. */
  site(
    script: ScriptName,
    website: string,
    accounts: Iterable<string>,
    args: Arg[],
    image: PoolImage,
  ): Promise<unknown>;
  /** As `site`, or as `house` without a website; leavings ride along at the end of its arguments. */
  admit(
    script: ScriptName,
    website: string | undefined,
    accounts: readonly string[],
    args: Arg[],
    image: PoolImage,
  ): Promise<unknown>;
  /** An id for a session that this ask may bring into being. */
  newId(ask: Ask): string;
  /** A request was let in. */
  seated(account: string): void;
  /** A request counts in this session from now on. */
  entered(account: string, session: string | undefined): void;
  /** A request has left; Redis is told with the next admission, or in a moment. */
  leave(leaving: Leaving): Promise<void>;
  /** Tells of those who left now. */
  flush(): void;
  /** A request waits from now on; `came` says since when if it is its first wait. */
  countIn(ask: Ask, waitsFor: string, came: number | undefined): void;
  countOut(wish: Wish): void;
  /** Notes what an answer to a retry or a turn means for what is held. */
  noted(wish: Wish, admission: Admission): void;
}

export const makeSteps = (options: StepsOptions): Steps => {
  const { desk, random, settings, cluster } = options;
  const { holdings, node } = desk;

  const withAccounts = (keys: string[], accounts: Iterable<string>): string[] => {
    for (const account of accounts) keys.push(...accountKeys(account));
    return keys;
  };

  const houseKeysOf = (accounts: Iterable<string>, image: PoolImage): string[] =>
    withAccounts(houseKeys(HOUSE, node, image.version), accounts);

  const siteKeysOf = (website: string, accounts: Iterable<string>, image: PoolImage): string[] => {
    const tag = siteTag(cluster, website);
    const keys = cluster ? tagKeys(tag, node, image.version) : houseKeys(tag, node, image.version);
    keys.push(...siteKeys(tag, website, image.version));
    return cluster ? keys : withAccounts(keys, accounts);
  };

  const house: Steps['house'] = (script, accounts, args, image) =>
    desk.ask(script, houseKeysOf(accounts, image), args, image);

  const leavings = makeLeavings(({ args, accounts }) =>
    house('leave', accounts, [settings().sessionIdleMs, ...args], desk.image()),
  );

  const entered = (account: string, session: string | undefined): void => {
    if (session !== undefined) holdings.take(HOUSE, runField(account, session));
  };

  const ages = makeAges();

  const countIn = (ask: Ask, waitsFor: string, came: number | undefined): void => {
    const { website, account } = ask;
    ages.began(ask, waitsFor, came);
    holdings.take(siteTag(cluster, website), waitField(website, account, waitsFor));
  };

  return {
    ...options,
    house: (script, accounts, args, image) => {
      leavings.flush();
      return house(script, accounts, args, image);
    },
    site: (script, website, accounts, args, image) => {
      leavings.flush();
      return desk.ask(script, siteKeysOf(website, accounts, image), args, image);
    },
    admit: (script, website, accounts, args, image) => {
      const batch = leavings.take();
      if (batch) args.push(...batch.args);
      const all = batch ? [...accounts, ...batch.accounts] : accounts;
      const keys = website === undefined ? houseKeysOf(all, image) : siteKeysOf(website, all, image);
      const answer = desk.ask(script, keys, args, image);
      batch?.told(answer);
      return answer;
    },
    leave: (leaving) => {
      const { account, session } = leaving;
      holdings.give(HOUSE, seatField(account));
      if (session !== undefined) holdings.give(HOUSE, runField(account, session));
      return leavings.add(leaving);
    },
    flush: leavings.flush,
    newId: ({ session }) => (session === undefined || session.by === 'id' ? '' : newSessionId(random)),
    seated: (account) => holdings.take(HOUSE, seatField(account)),
    entered,
    ages,
    jars: makeJars(),
    countIn,
    countOut: (wish) => {
      const {
        ask: { website, account },
        waitsFor,
      } = wish;
      if (waitsFor === undefined) return;
      ages.ended(wish);
      holdings.give(siteTag(cluster, website), waitField(website, account, waitsFor));
    },
    noted: ({ ask, session }, admission) => {
      if (admission.kind === 'wait') countIn(ask, admission.waitsFor, undefined);
      if (admission.kind === 'go' && admission.session !== session) entered(ask.account, admission.session);
    },
  };
};
