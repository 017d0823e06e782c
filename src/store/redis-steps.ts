/** What all operations on Redis share: which keys a step names, ids to propose, and keeping count of what is held. */
import type { Ask, Random } from '../pipeline/ports.ts';
import type { Admission, StoreSettings, Wish } from '../pipeline/store-port.ts';
import { newSessionId } from '../policy/sessions.ts';
import { type Ages, makeAges } from './redis-ages.ts';
import type { Desk } from './redis-desk.ts';
import { runField, seatField, waitField } from './redis-holdings.ts';
import { type Jars, makeJars } from './redis-jars.ts';
import { accountKeys, HOUSE, houseKeys, siteKeys, siteTag, tagKeys } from './redis-keys.ts';
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
  house(script: ScriptName, accounts: Iterable<string>, args: readonly Arg[], image: PoolImage): Promise<unknown>;
  /** A step of a website. On a single Redis it may touch the sessions of accounts as well. */
  site(
    script: ScriptName,
    website: string,
    accounts: Iterable<string>,
    args: readonly Arg[],
    image: PoolImage,
  ): Promise<unknown>;
  /** An id for a session that this ask may bring into being. */
  newId(ask: Ask): string;
  /** A request was let in. */
  seated(account: string): void;
  /** A request counts in this session from now on. */
  entered(account: string, session: string | undefined): void;
  left(account: string, session: string | undefined): void;
  /** A request waits from now on; `came` says since when if it is its first wait. */
  countIn(ask: Ask, waitsFor: string, came: number | undefined): void;
  countOut(wish: Wish): void;
  /** Notes what an answer to a retry or a turn means for what is held. */
  noted(wish: Wish, admission: Admission): void;
}

export const makeSteps = (options: StepsOptions): Steps => {
  const { desk, random, cluster } = options;
  const { holdings, node } = desk;

  const accountKeysOf = (keys: string[], accounts: Iterable<string>): string[] => {
    for (const account of accounts) keys.push(...accountKeys(account));
    return keys;
  };

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
    house: (script, accounts, args, image) =>
      desk.ask(script, accountKeysOf(houseKeys(HOUSE, node, image.version), accounts), args, image),
    site: (script, website, accounts, args, image) => {
      const tag = siteTag(cluster, website);
      const keys = cluster ? tagKeys(tag, node, image.version) : houseKeys(tag, node, image.version);
      keys.push(...siteKeys(tag, website, image.version));
      return desk.ask(script, cluster ? keys : accountKeysOf(keys, accounts), args, image);
    },
    newId: ({ session }) => (session === undefined || session.by === 'id' ? '' : newSessionId(random)),
    seated: (account) => holdings.take(HOUSE, seatField(account)),
    entered,
    left: (account, session) => {
      holdings.give(HOUSE, seatField(account));
      if (session !== undefined) holdings.give(HOUSE, runField(account, session));
    },
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
