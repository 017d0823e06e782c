/** Everything requests read of one configuration, worked out once and replaced as a whole on reload. */
import { hostname, networkInterfaces } from 'node:os';
import type { Entrance } from './inbound/intake.ts';
import type { Agents } from './model/agents.ts';
import type { Upstream } from './model/job.ts';
import type { Settings } from './model/settings.ts';
import type { GateSettings } from './pipeline/admit.ts';
import type { Rulebook } from './pipeline/house.ts';
import type { Pool } from './pipeline/ports.ts';
import type { StoreSettings } from './pipeline/store-port.ts';
import { makeAuthenticator } from './policy/authenticate.ts';
import type { BanRules } from './policy/ban.ts';
import { type HostPort, makeOwnPlaces, type OwnPlaces } from './policy/own-places.ts';
import { makeGuard } from './policy/route.ts';
import { makeWebsites } from './policy/websites.ts';

export interface Current {
  readonly settings: Settings;
  readonly entrance: Entrance;
  readonly rules: Rulebook;
  readonly pool: Pool;
  readonly admission: StoreSettings & GateSettings;
}

/** What is known of the running process besides its configuration. */
export interface Surroundings {
  /** What the upstream lists hold. */
  readonly listed: readonly Upstream[];
  readonly bans: BanRules;
  readonly agents: Agents;
  /** The port that was really bound. */
  readonly boundPort: number | undefined;
  /** Nodes of the store by every name and address. */
  readonly store: readonly HostPort[];
}

export const makeCurrent = (settings: Settings, surroundings: Surroundings): Current => {
  const website = makeWebsites(settings.websites, settings.pacing);
  return {
    settings,
    entrance: entranceOf(settings, ownPlaces(settings, surroundings), (host) => website(host).forbidden),
    rules: rulesOf(settings, website, surroundings),
    pool: poolOf([...settings.upstreams, ...surroundings.listed]),
    admission: admissionOf(settings),
  };
};

const entranceOf = (settings: Settings, own: OwnPlaces, forbidden: (host: string) => boolean): Entrance => ({
  authenticate: makeAuthenticator(settings.accounts),
  guard: makeGuard({ ...settings.targets, forbidden, own: own.any }),
  controlLimits: { ...settings.timeouts, retries: settings.limits.retries },
  own: own.proxy,
  replayBytes: settings.limits.replayBytes,
  operatorContact: settings.operatorContact,
  authStatus: settings.authStatus,
  strangersDialect: settings.accounts.every(({ account }) => account.dialect === 'spm') ? 'spm' : 'crawlera',
});

const rulesOf = (
  { pacing, limits, operatorContact }: Settings,
  website: Rulebook['website'],
  { bans, agents }: Surroundings,
): Rulebook => ({
  website,
  bans,
  agents,
  softLimitMs: pacing.softLimitMs,
  maxRetries: limits.retries,
  maxResponseBytes: limits.responseBytes === 0 ? Number.POSITIVE_INFINITY : limits.responseBytes,
  operatorContact,
});

const poolOf = (upstreams: readonly Upstream[]): Pool => {
  const byId = new Map(upstreams.map((upstream) => [upstream.id, upstream]));
  return { all: [...byId.values()], byId: (id) => byId.get(id) };
};

const admissionOf = ({ pacing, limits, sessions, bans, cookies }: Settings): Current['admission'] => ({
  softLimitMs: pacing.softLimitMs,
  hardLimitMs: pacing.hardLimitMs,
  maxHoldMs: pacing.maxHoldMs,
  outstanding: limits.outstanding,
  sessionIdleMs: sessions.idleMs,
  banMs: bans.durationMs,
  upstreamDownMs: bans.upstreamDownMs,
  cookieIdleMs: cookies.idleMs,
});

const ownPlaces = ({ listen, admin }: Settings, { boundPort, store }: Surroundings): OwnPlaces => {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list?.map((one) => one.address) ?? []);
  return makeOwnPlaces({
    names: [...listen.names, listen.host, hostname(), ...addresses],
    proxyPorts: [listen.port, listen.tlsPort, boundPort].filter((port) => port !== undefined),
    adminPort: admin.port,
    store,
  });
};
