/** Composition root: settings and ports become a running proxy. The only file that knows everyone. */
import { lookup } from 'node:dns/promises';
import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import { fetchRoutes } from './api/fetch.ts';
import { pageRoutes } from './api/pages.ts';
import { makeEndpoints } from './api/router.ts';
import { sessionRoutes } from './api/sessions.ts';
import { loadAgents } from './config/agents.ts';
import { makeLists } from './config/lists.ts';
import { loadRules } from './config/rules.ts';
import { storeNodes } from './config/store-url.ts';
import { makeCurrent } from './current.ts';
import { type Authority, openAuthority } from './inbound/authority.ts';
import { makeDoor } from './inbound/door.ts';
import { makeGuesses } from './inbound/guesses.ts';
import { type Entrance, makeJob } from './inbound/intake.ts';
import type { Agents } from './model/agents.ts';
import { readControls } from './model/controls.ts';
import type { Account, Upstream } from './model/job.ts';
import type { Settings } from './model/settings.ts';
import { hostAndPort } from './outbound/route.ts';
import { makeTransport } from './outbound/transport.ts';
import { type GateEvents, makeGate } from './pipeline/admit.ts';
import { makeExchange } from './pipeline/exchange.ts';
import type { Clock, Ledger } from './pipeline/ports.ts';
import { type BanRules, compileRules } from './policy/ban.ts';
import type { HostPort } from './policy/own-places.ts';
import { realClock } from './store/clock.ts';
import { makeDataFolder } from './store/data-folder.ts';
import { openStore } from './store/open.ts';

export interface Say {
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

/** What is counted besides finished requests. */
export interface Gauges {
  banStorm(): void;
  upstreamDown(): void;
  storeTrouble(away: boolean): void;
  watch(load: () => { readonly outstanding: number; readonly waiting: number }): void;
}

export interface AppParts {
  readonly ledger: Ledger;
  /** The operator's log. */
  readonly say: Say;
  readonly version: string;
  readonly clock?: Clock;
  /** TLS ticket keys shared with other processes on the same port; random when absent. */
  readonly ticketKeys?: Buffer;
  readonly gauges?: Gauges;
}

export interface App {
  readonly address: AddressInfo;
  /** Where the TLS listener is bound, if there is one. */
  readonly tlsAddress: AddressInfo | undefined;
  /** `host:port` to tell clients. */
  readonly reachedAt: string;
  readonly authority: Authority;
  /** False once it began to stop. */
  ready(): boolean;
  /** Takes a new configuration and a renewed CA over for requests from now on; listeners stay as they are. */
  reload(settings: Settings): void;
  /** Drains for at most `timeouts.drain`, then cuts what is left and closes the store. */
  close(): Promise<void>;
}

const HEAD_MS = 30_000;
const IDLE_MS = 120_000;
const HANDSHAKE_MS = 30_000;

/** Opens the store, the CA and the port. Rejects with a readable message when one of them cannot be had. */
export const startApp = async (first: Settings, parts: AppParts): Promise<App> => {
  const { ledger, version, clock = realClock } = parts;
  makeDataFolder(first.data);
  let bans = banRules(first);
  let agents = userAgents(first);
  const authority = openAuthority(first.certificates, parts.ticketKeys ? { ticketKeys: parts.ticketKeys } : {});
  for (const warning of authority.warnings) parts.say.warn(warning);

  let draining = false;
  const lists = makeLists({ changed: () => renew(current.settings), warn: parts.say.warn });
  let boundPorts: readonly number[] = [];
  const storePlaces = await everyAddressOf(storeNodes(first.store));
  const renew = (settings: Settings): void => {
    current = makeCurrent(settings, { bans, agents, listed: lists.upstreams(), boundPorts, store: storePlaces });
  };
  let current = makeCurrent(first, { bans, agents, listed: [], boundPorts, store: storePlaces });
  await lists.follow(first.upstreamLists);

  const store = openStore({
    location: first.store,
    data: first.data,
    loss: first.storeLoss,
    report: parts.say.warn,
    away: parts.gauges?.storeTrouble,
    clock,
    random: Math.random,
    pool: () => current.pool,
    settings: () => current.admission,
  });
  const gate = makeGate({ store, clock, settings: () => current.admission, events: gateEvents(parts) });
  parts.gauges?.watch(gate.load);
  const transport = makeTransport({
    settings: first,
    clock,
    judgeAddress: (ip, host, port) => current.entrance.guard.judgeAddress(ip, host, port),
  });
  const exchange = makeExchange({
    gate,
    cookies: store.cookies,
    transport,
    ledger,
    clock,
    random: Math.random,
    version,
    rules: () => current.rules,
  });
  const endpoints = makeEndpoints([
    ...pageRoutes({
      version,
      address: () => shownAddress(current.settings, boundPorts[0]),
      certificatePem: () => authority.bundlePem,
    }),
    ...sessionRoutes({
      sessions: gate.sessions,
      slaveOf,
      regionOf: (headers, account) => regionOf(headers, account, current.entrance),
    }),
    ...fetchRoutes({
      makeJob: (order, { account, suffix }, id) =>
        makeJob(
          { ...order, framed: false, webSocket: false, account, suffix, tunnel: undefined, servername: undefined },
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
    tlsPort: first.listen.tlsPort,
    ownNames: () => current.ownNames,
    http2: () => current.settings.listen.http2,
    handshakeMs: HANDSHAKE_MS,
  });
  await store.opened;
  const { plain, tls } = await door.open();
  boundPorts = tls ? [plain.port, tls.port] : [plain.port];
  renew(current.settings);

  return {
    address: plain,
    tlsAddress: tls,
    reachedAt: shownAddress(first, plain.port),
    authority,
    ready: () => !draining,
    reload(settings) {
      // Each may throw, for a bad rules file, list of user agents or CA folder, before anything else changes.
      const newBans = banRules(settings);
      const newAgents = userAgents(settings);
      authority.reload();
      bans = newBans;
      agents = newAgents;
      void lists.follow(settings.upstreamLists);
      renew(settings);
    },
    async close() {
      draining = true;
      lists.stop();
      gate.dismiss();
      const cut = clock.after(current.settings.timeouts.drainMs, door.destroy);
      await door.close();
      cut.cancel();
      await transport.close();
      await store.close();
    },
  };
};

/** Throws with every mistake of the rules file, a line each. */
const banRules = ({ bans }: Settings): BanRules => {
  const { rules, errors } = loadRules(bans.rules);
  if (!rules) throw new Error(errors.join('\n'));
  return compileRules(rules);
};

/** Throws with every mistake of the file, a line each. */
const userAgents = ({ userAgents: file }: Settings): Agents => {
  const { agents, errors } = loadAgents(file);
  if (!agents) throw new Error(errors.join('\n'));
  return agents;
};

const gateEvents = ({ say, gauges }: AppParts): GateEvents => ({
  banStorm(website, rule) {
    gauges?.banStorm();
    say.warn(`ban storm: rule ${rule} on ${website} sets no more bans until it is quiet`);
  },
  upstreamDown(upstream, reason) {
    gauges?.upstreamDown();
    say.warn(`upstream ${upstream.label ?? 'direct'} is down: ${reason}`);
  },
});

/** Each node by its name and by every address that has now; one that cannot be found is out of reach for everybody. */
const everyAddressOf = async (nodes: readonly HostPort[]): Promise<HostPort[]> => {
  const found = await Promise.all(
    nodes.map(({ host }) => lookup(host, { all: true }).catch((): { address: string }[] => [])),
  );
  return nodes.flatMap((node, i) => [node, ...(found[i] ?? []).map(({ address }) => ({ ...node, host: address }))]);
};

const ANYWHERE = new Set(['0.0.0.0', '::']);

/** How clients are told to reach this proxy: its first public name, else where it listens. */
export const shownAddress = ({ listen }: Settings, boundPort = listen.port): string => {
  const [name = ANYWHERE.has(listen.host) ? '127.0.0.1' : listen.host] = listen.names;
  return hostAndPort(name, boundPort);
};

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
