/** This process at Redis: its name and lease, its pool's image there, and the questions of the store, asked in time. */
import { randomUUID } from 'node:crypto';
import type { Pool } from '../pipeline/ports.ts';
import type { StoreSettings } from '../pipeline/store-port.ts';
import { type Holdings, makeHoldings } from './redis-holdings.ts';
import { HOUSE, siteTags, tagKeys } from './redis-keys.ts';
import type { Arg, Link } from './redis-link.ts';
import { imageOf, type PoolImage, partsOf } from './redis-pool.ts';
import { ANSWER_MS, storeLost } from './redis-questions.ts';
import type { ScriptName } from './redis-scripts.ts';

/** What a process held is given back so long after its last sign of life. */
const LEASE_MS = 6_000;
const RENEW_MS = 2_000;

export interface Desk {
  readonly node: string;
  readonly holdings: Holdings;
  image(): PoolImage;
  /** Asks a script. Puts the time, the process and the version of `image`'s pool before `args`. */
  ask(script: ScriptName, keys: readonly string[], args: Arg[], image: PoolImage): Promise<unknown>;
  /** Tells Redis all this process holds and brings the pool there: for a link that has just come up. */
  greet(link: Link): Promise<void>;
  /** Renews the lease every few seconds from now on. */
  start(link: Link): void;
  /** Gives the lease up. */
  stop(): Promise<void>;
}

export interface DeskOptions {
  readonly cluster: boolean;
  readonly pool: () => Pool;
  readonly settings: () => StoreSettings;
  /** Milliseconds, instead of Redis' own clock; for tests. */
  readonly time: (() => number) | undefined;
}

/** A large pool takes longer to bring than a request may wait. */
const inTime = (step: Promise<void>): Promise<void> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(storeLost('the pool is on its way')), ANSWER_MS);
    step.then(resolve, reject).finally(() => clearTimeout(timer));
  });

const lacksPool = (answer: unknown): boolean => Array.isArray(answer) && answer[0] === 'pool';

export const makeDesk = ({ cluster, pool, settings, time }: DeskOptions): Desk => {
  const node = randomUUID();
  const holdings = makeHoldings();
  const tags = [...new Set([HOUSE, ...siteTags(cluster)])];
  const uploads = new Map<string, Promise<void>>();
  let timer: NodeJS.Timeout | undefined;
  let link: Link | undefined;

  const image = (): PoolImage => imageOf(pool());

  const head = (of: PoolImage): Arg[] => [time ? time() : '', node, of.version];

  const upload = async (send: Link['call'], tag: string, of: PoolImage): Promise<void> => {
    const keys = tagKeys(tag, node, of.version);
    for (const part of partsOf(of, tag === HOUSE)) await send('pool', keys, [...head(of), ...part]);
  };

  const bring = (send: Link['call'], tag: string, of: PoolImage): Promise<void> => {
    const name = `${tag} ${of.version}`;
    const known = uploads.get(name);
    if (known) return known;
    const running = upload(send, tag, of).finally(() => uploads.delete(name));
    uploads.set(name, running);
    return running;
  };

  const sync = async (send: Link['call'], tag: string, leaseMs: number, all: boolean): Promise<void> => {
    const of = image();
    const held = all ? ['1', ...holdings.list(tag)] : [''];
    const args = [...head(of), settings().sessionIdleMs, leaseMs, ...held];
    const hasPool = await send('sync', tagKeys(tag, node, of.version), args);
    if (hasPool !== 1 && leaseMs > 0) await bring(send, tag, of);
  };

  const syncAll = async (send: Link['call'], leaseMs: number, all: boolean): Promise<void> => {
    await Promise.all(tags.map((tag) => sync(send, tag, leaseMs, all)));
  };

  return {
    node,
    holdings,
    image,
    ask: (script, keys, args, of) => {
      if (!link) return Promise.reject(storeLost('not open'));
      const { call } = link;
      args.unshift(time ? time() : '', node, of.version);
      return call(script, keys, args).then((answer) => {
        if (!lacksPool(answer)) return answer;
        const tag = (keys[0] as string).slice(0, (keys[0] as string).indexOf(':') + 1);
        return inTime(bring(call, tag, of)).then(() => call(script, keys, args));
      });
    },
    greet: (through) => syncAll(through.probe, LEASE_MS, true),
    start: (through) => {
      link = through;
      timer = setInterval(() => {
        if (through.isUp()) syncAll(through.call, LEASE_MS, false).catch(() => undefined);
      }, RENEW_MS);
      timer.unref();
    },
    stop: async () => {
      clearInterval(timer);
      if (link?.isUp()) await syncAll(link.call, 0, false).catch(() => undefined);
    },
  };
};
