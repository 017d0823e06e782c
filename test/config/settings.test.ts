import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { configFile, loadSettings } from '../../src/config/load.ts';
import { makeLoader } from './support.ts';

const { cwd, settings } = makeLoader();

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

describe('defaults', () => {
  it('are those of the contract when the default file is absent', () => {
    const { settings: defaults } = loadSettings({ ...configFile(undefined, {}), env: {}, cwd });
    expect(defaults).toMatchObject({
      listen: { host: '127.0.0.1', port: 8010, tlsPort: undefined, http2: false, names: [] },
      admin: { host: '127.0.0.1', port: 8012, key: undefined },
      certificates: join(cwd, 'certs'),
      authStatus: 407,
      data: join(cwd, 'data'),
      store: 'memory',
      workers: 1,
      accounts: [],
      upstreamLists: [],
      pacing: {
        siteDelayMs: 200,
        slaveDelayMs: 1000,
        softLimitMs: 120_000,
        maxHoldMs: 1_000_000,
        hardLimitMs: 1_000_000,
      },
      sessions: { idleMs: 1_800_000 },
      bans: { rules: undefined, durationMs: 600_000, upstreamDownMs: 30_000 },
      cookies: { idleMs: 900_000 },
      userAgents: undefined,
      websites: [],
      limits: {
        headersBytes: 102_400,
        replayBytes: 1_048_576,
        responseBytes: 524_288_000,
        outstanding: 10_000,
        retries: 5,
      },
      timeouts: {
        connectMs: 10_000,
        responseMs: 30_000,
        responseMinMs: 30_000,
        responseMaxMs: 180_000,
        drainMs: 30_000,
      },
      storeLoss: 'refuse',
      log: { level: 'info' },
    });
    expect(defaults?.targets).toEqual({
      allowPrivate: [],
      ports: [
        [80, 80],
        [443, 443],
        [1024, 65_535],
      ],
      extraRoots: undefined,
    });
  });

  it('have one direct exit, as an empty file and sections without values do', () => {
    expect(settings('').upstreams).toMatchObject([{ kind: 'direct', weight: 1, rotating: false }]);
    expect(settings('listen:\naccounts:\nupstreams:\npacing:\n  siteDelay:\nlog: {}\n')).toEqual(settings(''));
  });

  it('an absent file is an error when somebody named it', () => {
    for (const file of [configFile('nix.yaml', {}), configFile(undefined, { CRAWLGATE_CONFIG: 'nix.yaml' })])
      expect(loadSettings({ ...file, env: {}, cwd }).errors).toEqual(['nix.yaml: there is no such file']);
  });

  it('the command line names the file before CRAWLGATE_CONFIG does', () => {
    expect(configFile('a.yaml', { CRAWLGATE_CONFIG: 'b.yaml' })).toEqual({ file: 'a.yaml', explicit: true });
    expect(configFile(undefined, { CRAWLGATE_CONFIG: '' })).toEqual({ file: 'config/crawlgate.yaml', explicit: false });
  });
});

describe('accounts', () => {
  it('H-11 L-02 S-10 have the numbers of their plan, unless overridden', () => {
    const { accounts } = settings(`
accounts:
  - { id: a, key: k1 }
  - { id: b, key: k2, plan: c10 }
  - { id: c, key: k3, plan: c50, dialect: spm }
  - { id: d, key: k4, plan: c100, dialect: auto }
  - { id: e, key: k5, plan: c200, maxConnections: 7, maxSessions: 9 }`);
    expect(
      accounts.map(({ account }) => account).map((a) => [a.id, a.plan, a.dialect, a.maxConnections, a.maxSessions]),
    ).toEqual([
      ['a', 'enterprise', 'crawlera', Number.POSITIVE_INFINITY, 5000],
      ['b', 'c10', 'crawlera', 10, 100],
      ['c', 'c50', 'spm', 50, 5000],
      ['d', 'c100', 'auto', 100, 5000],
      ['e', 'c200', 'crawlera', 7, 9],
    ]);
  });

  it('robustness C10 keep the hash of a key, not the key', () => {
    const { accounts } = settings(
      `accounts: [{ key: 0123abcd }, { id: b, keySha256: ${sha256('other').toUpperCase()} }]`,
    );
    expect(accounts.map(({ keySha256 }) => keySha256)).toEqual([sha256('0123abcd'), sha256('other')]);
    expect(accounts[0]?.account.id).toBe('default');
    expect(JSON.stringify(accounts)).not.toContain('0123abcd');
  });

  it('H-06 keep default control headers with lower-case names and text values', () => {
    const { accounts } = settings(
      'accounts: [{ key: k, defaults: { X-Crawlera-Cookies: disable, x-crawlera-max-retries: 2, X-Crawlera-No-Bancheck: true } }]',
    );
    expect(accounts[0]?.account.defaults).toEqual([
      'x-crawlera-cookies',
      'disable',
      'x-crawlera-max-retries',
      '2',
      'x-crawlera-no-bancheck',
      'true',
    ]);
  });
});

describe('upstreams, websites and targets', () => {
  it('A-13 read urls with their traits, and lists', () => {
    const { upstreams, upstreamLists } = settings(`
upstreams:
  - { url: 'http://u:p@gw.example:7000', region: US, weight: 3 }
  - { url: 'http://u-{session}:p@gw.example:7000', rotating: true }
  - { list: https://provider.example/list.txt?token=x, every: 1m }
  - list: lists/mine.txt`);
    expect(upstreams).toMatchObject([
      { username: 'u', region: 'us', weight: 3, rotating: false },
      { username: 'u-{session}', region: undefined, weight: 1, rotating: true },
    ]);
    expect(upstreamLists).toEqual([
      { location: 'https://provider.example/list.txt?token=x', everyMs: 60_000 },
      { location: join(cwd, 'lists/mine.txt'), everyMs: 600_000 },
    ]);
  });

  it('have no direct exit once there is a list', () => {
    expect(settings('upstreams: [{ list: l.txt }]').upstreams).toEqual([]);
  });

  it('robustness B04 normalise the names of websites', () => {
    expect(
      settings('websites: { Shop.Example: { siteDelay: 1s }, "*.Old.Example.": { insecureTarget: true } }').websites,
    ).toEqual([
      {
        pattern: 'shop.example',
        siteDelayMs: 1000,
        slaveDelayMs: undefined,
        insecureTarget: undefined,
        forbidden: undefined,
      },
      {
        pattern: '*.old.example',
        siteDelayMs: undefined,
        slaveDelayMs: undefined,
        insecureTarget: true,
        forbidden: undefined,
      },
    ]);
  });

  it('read networks and ports', () => {
    expect(
      settings('targets: { allowPrivate: [10.0.0.0/8, "*.lan.example"], ports: [80, 8000-8010] }').targets,
    ).toMatchObject({
      allowPrivate: ['10.0.0.0/8', '*.lan.example'],
      ports: [
        [80, 80],
        [8000, 8010],
      ],
    });
  });
});
