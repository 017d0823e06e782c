/** `workers: N`: several processes on one port and one Redis, as an operator runs them. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { type Checkout, makeCheckout } from '../support/checkout.ts';
import { type Child, start } from '../support/child.ts';
import { basic, lineOn, openLine } from '../support/client.ts';
import { makeOrigin } from '../support/origin.ts';
import { freePort, hasRedis, startRedis } from '../support/redis.ts';
import { until } from '../support/sockets.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

if (!hasRedis) process.stdout.write('no redis-server here: several workers are not tested\n');

let checkout: Checkout;
beforeAll(() => {
  checkout = makeCheckout();
});
afterAll(() => checkout.remove());

interface Workers extends Child {
  readonly port: number;
  readonly tlsPort: number;
  readonly adminPort: number;
  readonly folder: string;
}

const startWorkers = async (count: number): Promise<Workers> => {
  const redis = await startRedis();
  onTestFinished(() => redis.stop());
  const folder = mkdtempSync(join(tmpdir(), 'crawlgate-workers-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const port = await freePort();
  const tlsPort = await freePort();
  const adminPort = await freePort();
  const file = join(folder, 'crawlgate.yaml');
  writeFileSync(
    file,
    [
      `listen: { port: ${port}, tls: { port: ${tlsPort} } }`,
      `admin: { port: ${adminPort} }`,
      `store: ${redis.url}`,
      `workers: ${count}`,
      'targets: { allowPrivate: [127.0.0.0/8], ports: [1-65535] }',
      'pacing: { siteDelay: 0ms, slaveDelay: 0ms }',
      'timeouts: { drain: 500ms }',
      '',
    ].join('\n'),
  );
  const child = start(process.execPath, [checkout.main, 'serve', '--config', file], { cwd: folder });
  await child.says(/listening on 127\.0\.0\.1:\d+ with \d workers/);
  return { ...child, port, tlsPort, adminPort, folder };
};

const workerPids = (parent: Child): number[] =>
  execFileSync('pgrep', ['-P', String(parent.process.pid)], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map(Number);

const get = async (port: number, url: string, more: string) => {
  const line = await openLine(port);
  const answer = await line.ask(`GET ${url} HTTP/1.1\r\nHost: x\r\n${more}\r\n`);
  line.socket.destroy();
  return answer;
};

/** Which processes wrote the request lines. */
const servedBy = (child: Child): Set<number> =>
  new Set([...child.out().matchAll(/"pid":(\d+),[^\n]*"msg":"request"/g)].map((match) => Number(match[1])));

describe.runIf(hasRedis)('several workers', () => {
  it('share port, key, CA and sessions, and their numbers are gathered', async () => {
    const origin = await makeOrigin();
    onTestFinished(() => origin.close());
    const child = await startWorkers(2);
    expect(workerPids(child)).toHaveLength(2);
    expect(child.out().match(/A key was made/g)).toHaveLength(1);
    const key = readFileSync(join(child.folder, 'data/api-key'), 'utf8').trim();
    const authorization = `Proxy-Authorization: ${basic(key)}\r\n`;
    const url = `http://shop.localhost:${origin.port}/`;
    const first = await get(child.port, url, `${authorization}X-Crawlera-Session: create\r\n`);
    const id = first.header('X-Crawlera-Session');
    expect(id).toMatch(/^\d{7,15}$/);
    for (let i = 0; i < 20; i++) {
      const answer = await get(child.port, url, `${authorization}X-Crawlera-Session: ${id}\r\n`);
      expect(answer.status).toBe(200);
      expect(answer.header('X-Crawlera-Session')).toBe(id);
    }
    // Both wrote log lines: the session made by one was served by the other.
    await until(() => servedBy(child).size === 2);
    const adminKey = readFileSync(join(child.folder, 'data/admin-key'), 'utf8').trim();
    const metrics = await get(child.adminPort, '/metrics', `Authorization: ${basic(adminKey)}\r\n`);
    expect(metrics.body).toMatch(/^crawlgate_requests_total\{outcome="ok"\} 21$/m);
  });

  it('T-21 share the TLS port and its tickets: a session made with one is resumed by the other', async () => {
    const child = await startWorkers(2);
    await child.says(new RegExp(`listening on 127.0.0.1:${child.tlsPort} for TLS`));
    const ca = readFileSync(join(child.folder, 'certs/crawlera-ca.crt'));
    const visit = async (session?: Buffer): Promise<Buffer> => {
      const socket = connect({ port: child.tlsPort, host: '127.0.0.1', ca, ...(session && { session }) });
      const ticket = session ? [session] : once(socket, 'session');
      await once(socket, 'secureConnect');
      expect(socket.isSessionReused()).toBe(session !== undefined);
      expect((await lineOn(socket).ask('GET / HTTP/1.1\r\nHost: x\r\n\r\n')).status).toBe(200);
      const [got] = (await ticket) as [Buffer];
      socket.destroy();
      return got;
    };
    const session = await visit();
    for (let i = 0; i < 6; i++) await visit(session);
  });

  it('get another one in the place of one that was killed, and end together', async () => {
    const child = await startWorkers(2);
    const before = workerPids(child);
    process.kill(before[0] as number, 'SIGKILL');
    await until(() => {
      const now = workerPids(child);
      return now.length === 2 && !now.includes(before[0] as number);
    });
    expect(await child.says(/worker \d+ ended \(SIGKILL\); another one takes its place/)).toBeTruthy();
    expect((await get(child.port, '/', '')).status).toBe(200);
    child.kill('SIGTERM');
    expect((await child.exit).status).toBe(0);
  });
});
