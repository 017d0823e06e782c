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
  /** What the TLS listener's certificate is for (T-21). */
  readonly ownNames: readonly string[];
}

/** What is known of the running process besides its configuration. */
export interface Surroundings {
  /** What the upstream lists hold. */
  readonly listed: readonly Upstream[];
  readonly bans: BanRules;
  readonly agents: Agents;
  /** The ports that were really bound. */
  readonly boundPorts: readonly number[];
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
    ownNames: ['localhost', '127.0.0.1', '::1', ...namesHere(settings)].filter((name) => !isUnreachable(name)),
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

const addressesHere = (): string[] =>
  Object.values(networkInterfaces()).flatMap((list) => list?.map((one) => one.address) ?? []);

/** Names and addresses this machine answers to, loopback aside. */
const namesHere = ({ listen }: Settings): string[] => [...listen.names, listen.host, hostname(), ...addressesHere()];

/** No client can name these: the any-address, and link-local addresses, which need a zone. */
const isUnreachable = (name: string): boolean => name === '0.0.0.0' || name === '::' || name.startsWith('fe80:');

const ownPlaces = (settings: Settings, { boundPorts, store }: Surroundings): OwnPlaces => {
  const { listen, admin } = settings;
  return makeOwnPlaces({
    names: namesHere(settings),
    proxyPorts: [listen.port, listen.tlsPort, ...boundPorts].filter((port) => port !== undefined),
    adminPort: admin.port,
    store,
  });
};
