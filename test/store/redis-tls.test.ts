/** `rediss://`: the way to Redis is TLS, with a certificate that is checked (S-20, U-09). */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { makeAuthority } from '../support/certificates.ts';
import { type Checkout, makeCheckout } from '../support/checkout.ts';
import { type Child, start } from '../support/child.ts';
import { type Answer, basic, openLine } from '../support/client.ts';
import { freePort, hasRedisTls, type RedisServer, startRedis } from '../support/redis.ts';

// Processes of a machine that is busy with other tests.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const KEY = 'k3y';
const PASSWORD = 'p4ssw0rd';

describe.runIf(hasRedisTls)('a Redis behind TLS', () => {
  const authority = makeAuthority();
  let checkout: Checkout;
  let folder: string;
  let server: RedisServer;
  let tlsPort: number;
  beforeAll(() => {
    checkout = makeCheckout();
  });
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'crawlgate-rediss-'));
    writeFileSync(join(folder, 'ca.pem'), authority.cert);
  });
  afterEach(async () => {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  afterAll(() => checkout.remove());

  const serveRedis = async (hosts: readonly string[]): Promise<void> => {
    const { cert, key } = authority.issue({ hosts });
    const files = { cert: join(folder, 'redis.pem'), key: join(folder, 'redis.key'), ca: join(folder, 'ca.pem') };
    writeFileSync(files.cert, cert);
    writeFileSync(files.key, key);
    tlsPort = await freePort();
    server = await startRedis([
      ...['--tls-port', String(tlsPort), '--tls-auth-clients', 'no', '--requirepass', PASSWORD],
      ...['--tls-cert-file', files.cert, '--tls-key-file', files.key, '--tls-ca-cert-file', files.ca],
    ]);
  };

  const serve = async (env: Readonly<Record<string, string>>): Promise<{ child: Child; port: number }> => {
    const file = join(folder, 'crawlgate.yaml');
    const lines = [
      'listen: { port: 0 }',
      'admin: { port: 0 }',
      `store: rediss://:${PASSWORD}@127.0.0.1:${tlsPort}/0`,
      `accounts: [{ id: demo, key: ${KEY} }]`,
    ];
    writeFileSync(file, lines.join('\n'));
    const child = start(process.execPath, [checkout.main, 'serve', '--config', file], { cwd: folder, env });
    const [, port] = await child.says(/listening on 127\.0\.0\.1:(\d+)/);
    return { child, port: Number(port) };
  };

  const openSession = async (port: number): Promise<Answer> => {
    const line = await openLine(port);
    onTestFinished(() => void line.socket.destroy());
    return line.ask(`POST /sessions HTTP/1.1\r\nHost: x\r\nAuthorization: ${basic(KEY)}\r\nContent-Length: 0\r\n\r\n`);
  };

  it('is used where its certificate is of an authority that Node trusts (NODE_EXTRA_CA_CERTS)', async () => {
    await serveRedis(['127.0.0.1']);
    const { port } = await serve({ NODE_EXTRA_CA_CERTS: join(folder, 'ca.pem') });
    await expect.poll(async () => (await openSession(port)).status, { timeout: 20_000 }).toBe(200);
  });

  it.each([
    ['an authority that nobody trusts', ['127.0.0.1'], false, /certificate/],
    ['another place', ['redis.example'], true, /does not match|altnames/i],
  ])('is away when its certificate is of %s, and the password is told nobody', async (_, hosts, trusts, reason) => {
    await serveRedis(hosts);
    const { child, port } = await serve(trusts ? { NODE_EXTRA_CA_CERTS: join(folder, 'ca.pem') } : {});
    const answer = await openSession(port);
    expect([answer.status, answer.header('x-crawlera-error')]).toEqual([503, 'serverbusy']);
    expect(child.out()).toMatch(/store: Redis at 127\.0\.0\.1:\d+ is away/);
    expect(child.out()).toMatch(reason);
    expect(child.out() + child.err()).not.toContain(PASSWORD);
  });
});
