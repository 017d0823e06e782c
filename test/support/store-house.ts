/** Upstreams, pools, asks and a store on a fake clock, for tests of admission. */
import type { Upstream } from '../../src/model/job.ts';
import type { Ask, Pool } from '../../src/pipeline/ports.ts';
import type { StoreSettings } from '../../src/pipeline/store-port.ts';

export const upstream = (id: string, over: Partial<Upstream> = {}): Upstream => ({
  id,
  kind: 'http',
  host: `${id}.localhost`,
  port: 3128,
  username: undefined,
  password: undefined,
  localAddress: undefined,
  region: undefined,
  weight: 1,
  rotating: false,
  label: `${id}.localhost:3128`,
  ...over,
});

export const upstreams = (count: number): Upstream[] => Array.from({ length: count }, (_, i) => upstream(`u${i}`));

export const poolOf = (all: readonly Upstream[]): Pool => {
  const byId = new Map(all.map((one) => [one.id, one]));
  return { all, byId: (id) => byId.get(id) };
};

export const STORE_SETTINGS: StoreSettings = {
  softLimitMs: 120_000,
  hardLimitMs: 1_000_000,
  sessionIdleMs: 1_800_000,
  banMs: 600_000,
  upstreamDownMs: 30_000,
  cookieIdleMs: 900_000,
};

export const ask = (over: Partial<Ask> = {}): Ask => ({
  account: 'demo',
  maxConnections: Number.POSITIVE_INFINITY,
  maxSessions: 5_000,
  website: 'shop.localhost',
  siteDelayMs: 200,
  slaveDelayMs: 1_000,
  region: undefined,
  noBancheck: false,
  session: undefined,
  ...over,
});

export const inSession = (id: string, over: Partial<Ask> = {}): Ask => ask({ ...over, session: { by: 'id', id } });

export const CREATE = { by: 'create' } as const;

/** Numbers that look random and are the same every time. */
export const makeRandom = (seed = 1): (() => number) => {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 4_294_967_296;
  };
};
