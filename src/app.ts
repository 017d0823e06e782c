/** Composition root: settings and ports become a running proxy. The only file that knows everyone. */
import { mkdirSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { hostname, networkInterfaces } from 'node:os';
import { fetchRoutes } from './api/fetch.ts';
import { pageRoutes } from './api/pages.ts';
import { makeEndpoints } from './api/router.ts';
import { sessionRoutes } from './api/sessions.ts';
import { makeLists } from './config/lists.ts';
import { type Authority, openAuthority } from './inbound/authority.ts';
import { makeDoor } from './inbound/door.ts';
import { makeGuesses } from './inbound/guesses.ts';
import { type Entrance, makeJob } from './inbound/intake.ts';
import { BUILT_IN_AGENTS } from './model/agents.ts';
import { readControls } from './model/controls.ts';
import type { Account, Upstream } from './model/job.ts';
import type { Settings } from './model/settings.ts';
import { makeTransport } from './outbound/transport.ts';
import { type GateEvents, type GateSettings, makeGate } from './pipeline/admit.ts';
import { makeExchange } from './pipeline/exchange.ts';
import type { Rulebook } from './pipeline/house.ts';
import type { Clock, Ledger, Pool } from './pipeline/ports.ts';
import type { StoreSettings } from './pipeline/store-port.ts';
import { makeAuthenticator } from './policy/authenticate.ts';
import { isOwnPlace } from './policy/own-places.ts';
import { makeGuard } from './policy/route.ts';
import { makeWebsites } from './policy/websites.ts';
import { realClock } from './store/clock.ts';
import { openStore } from './store/open.ts';

export interface Say {
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

export interface AppParts {
  readonly ledger: Ledger;
  /** The operator's log. */
  readonly say: Say;
  readonly version: string;
  readonly clock?: Clock;
}

export interface App {
  readonly address: AddressInfo;
  readonly authority: Authority;
  /** Takes a new configuration and a renewed CA over for requests from now on; listeners stay as they are. */
  reload(settings: Settings): void;
  /** Drains for at most `timeouts.drain`, then cuts what is left and closes the store. */
  close(): Promise<void>;
}

/** Everything requests read of one configuration, worked out once. */
interface Current {
  readonly settings: Settings;
  readonly entrance: Entrance;
  readonly rules: Rulebook;
  readonly pool: Pool;
  readonly admission: StoreSettings & GateSettings;
}

const HEAD_MS = 30_000;
const IDLE_MS = 120_000;
const HANDSHAKE_MS = 30_000;

/** Opens the store, the CA and the port. Rejects with a readable message when one of them cannot be had. */
export const startApp = async (first: Settings, parts: AppParts): Promise<App> => {
  const { ledger, version, clock = realClock } = parts;
  mkdirSync(first.data, { recursive: true, mode: 0o700 });
  const authority = openAuthority(first.certificates);
  for (const warning of authority.warnings) parts.say.warn(warning);

  let draining = false;
  const own = ownPlaces(first);
  const lists = makeLists({
    changed: () => {
      current = makeCurrent(current.settings, own, lists.upstreams());
    },
    warn: parts.say.warn,
  });
  let current = makeCurrent(first, own, []);
  await lists.follow(first.upstreamLists);

  const store = openStore({
    location: first.store,
    clock,
    random: Math.random,
    pool: () => current.pool,
    settings: () => current.admission,
  });
  const gate = makeGate({ store, clock, settings: () => current.admission, events: gateEvents(parts.say) });
  const transport = makeTransport({
    settings: first,
    clock,
    judgeAddress: (ip, host, port) => current.entrance.guard.judgeAddress(ip, host, port),
  });
  const exchange = makeExchange({
    gate,
    transport,
    ledger,
    clock,
    random: Math.random,
    version,
    rules: () => current.rules,
  });
  const endpoints = makeEndpoints([
    ...pageRoutes({ version, address: shownAddress(first), certificatePem: () => authority.bundlePem }),
    ...sessionRoutes({
      sessions: gate.sessions,
      slaveOf,
      regionOf: (headers, account) => regionOf(headers, account, current.entrance),
    }),
    ...fetchRoutes({
      makeJob: (order, { account, suffix }, id) =>
        makeJob(
          { ...order, framed: false, account, suffix, tunnel: undefined, servername: undefined },
          current.entrance,
          id,
        ),
    }),
  ]);
  const door = makeDoor({
    exchange,
    endpoints,
    ledger,
    clock,
    version,
    authority,
    guesses: makeGuesses(() => clock.now()),
    entrance: () => current.entrance,
    draining: () => draining,
    listen: {
      host: first.listen.host,
      port: first.listen.port,
      maxHeaderBytes: first.limits.headersBytes,
      headMs: HEAD_MS,
      idleMs: IDLE_MS,
    },
    handshakeMs: HANDSHAKE_MS,
  });
  const address = await door.open();
  own.bound(address.port);

  return {
    address,
    authority,
    reload(settings) {
      // Throws when the CA folder is unusable, before anything else changes.
      authority.reload();
      void lists.follow(settings.upstreamLists);
      current = makeCurrent(settings, own, lists.upstreams());
    },
    async close() {
      draining = true;
      lists.stop();
      const cut = clock.after(current.settings.timeouts.drainMs, door.destroy);
      await door.close();
      cut.cancel();
      await transport.close();
      await store.close();
    },
  };
};

const makeCurrent = (settings: Settings, own: Own, listed: readonly Upstream[]): Current => {
  const { pacing, limits, timeouts, targets } = settings;
  const website = makeWebsites(settings.websites, pacing);
  const byId = new Map([...settings.upstreams, ...listed].map((upstream) => [upstream.id, upstream]));
  return {
    settings,
    entrance: {
      authenticate: makeAuthenticator(settings.accounts),
      guard: makeGuard({ ...targets, forbidden: (host) => website(host).forbidden, own: own.anything }),
      controlLimits: { ...timeouts, retries: limits.retries },
      own: own.port,
      replayBytes: limits.replayBytes,
      operatorContact: settings.operatorContact,
      authStatus: settings.authStatus,
    },
    rules: {
      website,
      softLimitMs: pacing.softLimitMs,
      maxRetries: limits.retries,
      maxResponseBytes: limits.responseBytes === 0 ? Number.POSITIVE_INFINITY : limits.responseBytes,
      operatorContact: settings.operatorContact,
      agents: BUILT_IN_AGENTS,
    },
    pool: { all: [...byId.values()], byId: (id) => byId.get(id) },
    admission: {
      softLimitMs: pacing.softLimitMs,
      hardLimitMs: pacing.hardLimitMs,
      maxHoldMs: pacing.maxHoldMs,
      outstanding: limits.outstanding,
      sessionIdleMs: settings.sessions.idleMs,
      banMs: settings.bans.durationMs,
      upstreamDownMs: settings.bans.upstreamDownMs,
    },
  };
};

const gateEvents = (say: Say): GateEvents => ({
  banStorm: (website, rule) => say.warn(`ban storm: rule ${rule} on ${website} sets no more bans until it is quiet`),
  upstreamDown: (upstream, reason) => say.warn(`upstream ${upstream.label ?? 'direct'} is down: ${reason}`),
});

interface Own {
  /** The proxy port: answered as direct endpoint (T-14). */
  port(host: string, port: number): boolean;
  /** That, the admin port and Redis: never reached through the proxy (robustness D05). */
  anything(host: string, port: number): boolean;
  /** The port that was really bound. */
  bound(port: number): void;
}

const ownPlaces = ({ listen, admin, store }: Settings): Own => {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list?.map((one) => one.address) ?? []);
  const names = new Set([...listen.names, listen.host, hostname(), ...addresses].map((name) => name.toLowerCase()));
  const proxy = { names, ports: new Set([listen.port, ...(listen.tlsPort === undefined ? [] : [listen.tlsPort])]) };
  const others = { names, ports: new Set([admin.port]) };
  const redis = storePlace(store);
  if (redis && isOwnPlace({ names, ports: new Set([redis.port]) }, redis.host, redis.port))
    others.ports.add(redis.port);
  return {
    port: (host, port) => isOwnPlace(proxy, host, port),
    anything: (host, port) =>
      isOwnPlace(proxy, host, port) ||
      isOwnPlace(others, host, port) ||
      (redis !== undefined && redis.port === port && redis.host === host),
    bound: (port) => proxy.ports.add(port),
  };
};

const storePlace = (store: string): { host: string; port: number } | undefined => {
  if (store === 'memory') return undefined;
  const url = new URL(store);
  return { host: url.hostname, port: url.port === '' ? 6379 : Number(url.port) };
};

/** How clients are told to reach this proxy: its first public name, else where it listens. */
const shownAddress = ({ listen }: Settings): string => `${listen.names[0] ?? listen.host}:${listen.port}`;

/** A direct exit has no address of its own to show before it is dialled: its source address, else this machine's. */
const slaveOf = (upstream: Upstream): string => {
  if (upstream.label !== undefined) return upstream.label;
  const own = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const outer = own.find((one) => !one.internal && one.family === 'IPv4');
  return `${upstream.localAddress ?? outer?.address ?? '127.0.0.1'}:0`;
};

const regionOf = (headers: readonly string[], account: Account, entrance: Entrance): string | undefined =>
  readControls(
    { request: headers, connect: undefined, defaults: account.defaults },
    account.plan,
    entrance.controlLimits,
  ).region;
