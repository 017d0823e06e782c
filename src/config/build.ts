/** From checked sections to the `Settings` everyone reads. */
import { resolve } from 'node:path';
import type { AccountEntry, Settings, UpstreamList, WebsiteRule } from '../model/settings.ts';
import { hashKey, makeAccount } from './accounts.ts';
import { parseHostPattern } from './hosts.ts';
import type { Shape } from './schema.ts';
import { directExit, makeUpstream } from './upstream-url.ts';

const DEFAULT_EVERY_MS = 600_000;

const accountOf = ({ key, keySha256, ...traits }: Shape['accounts'][number]): AccountEntry =>
  makeAccount({ ...traits, keySha256: keySha256 ?? hashKey(key ?? '') });

const websiteRule = ([name, rule]: [string, Shape['websites'][string]]): WebsiteRule => {
  const pattern = parseHostPattern(name);
  return {
    pattern: pattern.ok ? pattern.value : name,
    siteDelayMs: rule.siteDelay,
    slaveDelayMs: rule.slaveDelay,
    insecureTarget: rule.insecureTarget,
    forbidden: rule.forbidden,
  };
};

const isRemote = (location: string): boolean => /^https?:\/\//i.test(location);

const upstreamsOf = (shape: Shape, cwd: string): Pick<Settings, 'upstreams' | 'upstreamLists'> => {
  const upstreams = shape.upstreams.flatMap(({ url, ...traits }) => (url ? [makeUpstream(url, traits)] : []));
  const upstreamLists = shape.upstreams.flatMap(({ list, every }): UpstreamList[] =>
    list === undefined
      ? []
      : [{ location: isRemote(list) ? list : resolve(cwd, list), everyMs: every ?? DEFAULT_EVERY_MS }],
  );
  const none = upstreams.length === 0 && upstreamLists.length === 0;
  return { upstreams: none ? [directExit()] : upstreams, upstreamLists };
};

const timesOf = (shape: Shape): Pick<Settings, 'pacing' | 'sessions' | 'cookies' | 'timeouts'> => ({
  pacing: {
    siteDelayMs: shape.pacing.siteDelay,
    slaveDelayMs: shape.pacing.slaveDelay,
    softLimitMs: shape.pacing.softLimit,
    maxHoldMs: shape.pacing.maxHold,
    hardLimitMs: shape.pacing.hardLimit,
  },
  sessions: { idleMs: shape.sessions.idle },
  cookies: { idleMs: shape.cookies.idle },
  timeouts: {
    connectMs: shape.timeouts.connect,
    responseMs: shape.timeouts.response,
    responseMinMs: shape.timeouts.responseMin,
    responseMaxMs: shape.timeouts.responseMax,
    drainMs: shape.timeouts.drain,
  },
});

/** Relative paths start at `cwd`. No account here means none was configured: see first-key. */
export const buildSettings = (shape: Shape, cwd: string): Settings => {
  const path = (given: string): string => resolve(cwd, given);
  const optionalPath = (given: string | undefined): string | undefined =>
    given === undefined ? undefined : path(given);
  return {
    listen: {
      host: shape.listen.host,
      port: shape.listen.port,
      tlsPort: shape.listen.tls?.port,
      http2: shape.listen.http2,
      names: shape.listen.names,
    },
    admin: { host: shape.admin.host, port: shape.admin.port, key: shape.admin.key },
    certificates: path(shape.certificates),
    authStatus: shape.authStatus,
    data: path(shape.data),
    store: shape.store,
    workers: shape.workers,
    accounts: shape.accounts.map(accountOf),
    ...upstreamsOf(shape, cwd),
    ...timesOf(shape),
    bans: {
      rules: optionalPath(shape.bans.rules),
      durationMs: shape.bans.duration,
      upstreamDownMs: shape.bans.upstreamDown,
    },
    userAgents: optionalPath(shape.userAgents),
    websites: Object.entries(shape.websites).map(websiteRule),
    targets: {
      allowPrivate: shape.targets.allowPrivate,
      ports: shape.targets.ports,
      extraRoots: optionalPath(shape.targets.extraRoots),
    },
    limits: {
      headersBytes: shape.limits.headers,
      replayBytes: shape.limits.replay,
      responseBytes: shape.limits.response,
      outstanding: shape.limits.outstanding,
      retries: shape.limits.retries,
    },
    storeLoss: shape.storeLoss,
    operatorContact: shape.operatorContact,
    log: { level: shape.log.level },
  };
};
