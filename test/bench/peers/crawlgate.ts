/** This project with every feature on: over a direct exit, through an upstream proxy, and with its state in Redis. */
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { folder, freePort, listening, type Running, start } from '../children.ts';
import { BENCH_KEY, ORIGIN_HOST } from '../protocol.ts';
import { type Peer, type Stage, which } from './peer.ts';

const ROOT = join(import.meta.dirname, '../../..');
const PROGRAM = join(ROOT, 'dist/main.js');

const newest = (dir: string): number =>
  Math.max(...readdirSync(dir, { recursive: true, encoding: 'utf8' }).map((name) => statSync(join(dir, name)).mtimeMs));

const notBuilt = (): string | undefined => (existsSync(PROGRAM) ? undefined : 'not built: npm run build');

/** Measuring an old build by mistake is worse than not measuring: the report says so. */
const versionText = (): string => {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  const stale = newest(join(ROOT, 'src')) > newest(join(ROOT, 'dist'));
  return stale ? `${version} (dist is OLDER than src)` : version;
};

interface Setup {
  readonly upstreams?: readonly object[];
  readonly store?: string;
  readonly websites?: Readonly<Record<string, object>>;
}

/** JSON is YAML. Everything not named here is as shipped. */
const configuration = (port: number, adminPort: number, home: string, stage: Stage, setup: Setup): string =>
  JSON.stringify({
    listen: { host: '127.0.0.1', port },
    admin: { host: '127.0.0.1', port: adminPort },
    certificates: join(home, 'certs'),
    data: join(home, 'data'),
    accounts: [{ id: 'bench', key: BENCH_KEY, plan: 'enterprise' }],
    pacing: { siteDelay: '0ms', slaveDelay: '0ms' },
    targets: { allowPrivate: ['127.0.0.0/8', '::1/128', ORIGIN_HOST], extraRoots: stage.originCaFile },
    log: { level: 'info' },
    ...setup,
  });

/** The authority as any client would get it. */
const authorityOf = async (port: number): Promise<string> => {
  const answer = await fetch(`http://127.0.0.1:${port}/crawlera-ca.crt`, { signal: AbortSignal.timeout(5000) });
  if (!answer.ok) throw new Error(`/crawlera-ca.crt answered ${answer.status}`);
  return answer.text();
};

const startRedis = async (): Promise<{ url: string; running: Running }> => {
  const port = await freePort();
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder];
  const running = await start(which('redis-server') ?? 'redis-server', args);
  await listening(running, port);
  return { url: `redis://127.0.0.1:${port}/0`, running };
};

const crawlgate = (name: string, what: string, setUp: (stage: Stage) => Setup, redis = false): Peer => ({
  name,
  what,
  schemes: ['http', 'https'],
  absent: () =>
    notBuilt() ?? (redis && which('redis-server') === undefined ? 'redis-server is not installed' : undefined),
  version: versionText,
  async start(stage) {
    const [port, adminPort] = [await freePort(), await freePort()];
    const home = join(folder, `${name}-${port}`);
    mkdirSync(home);
    const store = redis ? await startRedis() : undefined;
    const file = join(home, 'crawlgate.yaml');
    const setup = { ...setUp(stage), ...(store ? { store: store.url } : {}) };
    writeFileSync(file, configuration(port, adminPort, home, stage, setup));
    const args = [...stage.nodeFlags, PROGRAM, 'serve', '--config', file];
    const running = await start(process.execPath, args, { cwd: home, discardOutput: true });
    await listening(running, port);
    return { running, port, ca: await authorityOf(port), ...(store ? { beside: store.running } : {}) };
  },
});

/** One set up for a purpose of its own. */
export const crawlgateAt = (setup: Setup): Peer => crawlgate('crawlgate', 'this project', () => setup);

export const crawlgatePeers: readonly Peer[] = [
  crawlgate(
    'crawlgate',
    'this project, every feature on, zero delays, one direct exit, one log line a request',
    () => ({}),
  ),
  crawlgate('crawlgate-hop', 'the same through an http upstream proxy', (stage) => ({
    upstreams: [{ url: `http://127.0.0.1:${stage.origin.plain}` }],
  })),
  crawlgate(
    'crawlgate-redis',
    "the same as crawlgate with a Redis store (Redis's own CPU stands apart)",
    () => ({}),
    true,
  ),
];
