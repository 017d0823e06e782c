/** Rules files, slowed websites, sessions and ban storms over real sockets (A-08 to A-10, S-14 to S-16). */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { call, get } from '../support/client.ts';
import { reply } from '../support/origin.ts';
import { startProxy } from '../support/proxy.ts';
import { expectRefusal, makeWireKit } from './errors-kit.ts';

const kit = makeWireKit();

const folder = mkdtempSync(join(tmpdir(), 'crawlgate-bans-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let made = 0;
const rulesFile = (text: string): string => {
  const file = join(folder, `rules-${++made}.yaml`);
  writeFileSync(file, `version: 1\nrules:\n${text}`);
  return file;
};

const HTML = 'Content-Type: text/html\r\n';
const BLOCK = reply('<title>Pardon Our Interruption</title>', HTML);
const GOOD = reply('<title>Shoes</title>', HTML);
const FORBIDDEN = BLOCK.replace('200 OK', '403 Forbidden');

const scene = async (upstreams: number, yaml = '') => {
  const origin = await kit.origin();
  origin.fallback = [GOOD];
  const proxy = await kit.proxy(yaml, await kit.upstreams(upstreams));
  return { origin, proxy, url: `http://shop.localhost:${origin.port}/` };
};

const outcomes = (receipts: readonly { attempts: readonly { outcome: string }[] }[]): string[][] =>
  receipts.map(({ attempts }) => attempts.map(({ outcome }) => outcome));

describe('A-08 an own rules file', () => {
  it('bans what it names, lets through what it calls ok, and switches built-in rules off', async () => {
    const file = rulesFile(`
  - { id: sold-out, scope: { domains: shop.localhost }, when: { status: 200, body: { max_len: 1000, contains_any: [all sold out] } } }
  - { id: members, verdict: ok, scope: { domains: club.localhost }, when: { status: 403 } }
  - { id: status-429, enabled: false }
`);
    const { origin, proxy, url } = await scene(2, `bans: { rules: ${file} }`);
    origin.enqueue(reply('ALL SOLD OUT', HTML));
    expect((await get(proxy, url)).body).toContain('Shoes');
    origin.fallback = [FORBIDDEN];
    expect((await get(proxy, url.replace('shop', 'club'))).status).toBe(403);
    origin.fallback = [BLOCK.replace('200 OK', '429 Slow')];
    expect((await get(proxy, url.replace('shop', 'other'))).status).toBe(503);
    origin.fallback = [reply('slow').replace('200 OK', '429 Slow')];
    expect((await get(proxy, url.replace('shop', 'third'))).status).toBe(429);
    expect(outcomes(proxy.receipts)).toEqual([
      ['sold-out', 'fine'],
      ['fine'],
      ['pardon-our-interruption', 'pardon-our-interruption'],
      ['fine'],
    ]);
  });

  it('is read anew on reload; a broken one leaves the old rules at work', async () => {
    const file = rulesFile('  - { id: first, when: { header: { x-odd: { exists: true } } } }\n');
    const yaml = `bans: { rules: ${file} }`;
    const { origin, proxy, url } = await scene(2, yaml);
    origin.fallback = [reply('hello', 'X-Odd: 1\r\n')];
    expect((await get(proxy, url)).status).toBe(503);
    writeFileSync(file, 'version: 1\nrules:\n  - { id: second, when: { status: 4 } }\n');
    expect(() => proxy.reload(yaml)).toThrow(/:3: rules\[0\]\.when\.status\[0\]: expected a status/);
    expect((await get(proxy, url.replace('shop', 'other'))).status).toBe(503);
    writeFileSync(file, 'version: 1\nrules:\n  - { id: second, when: { status: 418 } }\n');
    proxy.reload(yaml);
    expect((await get(proxy, url.replace('shop', 'third'))).status).toBe(200);
    origin.fallback = [reply('tea').replace('200 OK', '418 Teapot')];
    expect((await get(proxy, url.replace('shop', 'fourth'))).status).toBe(503);
    expect(proxy.receipts.map(({ attempts }) => attempts.at(-1)?.outcome)).toEqual([
      'first',
      'first',
      'fine',
      'second',
    ]);
  });

  it('with mistakes keeps the proxy from starting, and says where they are', async () => {
    const file = rulesFile('  - { id: Wrong, when: { status: 403 } }\n  - { id: right, wen: { status: 403 } }\n');
    const starting = startProxy(`bans: { rules: ${file} }`);
    await expect(starting).rejects.toThrow(`${file}:3: rules[0].id: expected small letters`);
    await expect(starting).rejects.toThrow(`${file}:4: rules[1].wen: unknown key, did you mean when?`);
  });
});

describe('A-08 a website that asks to slow down', () => {
  it.each([
    ['with 429', '429 Too Many Requests', ''],
    ['with a rule that says throttle', '420 Calm', '  - { id: calm, verdict: throttle, when: { status: 420 } }\n'],
  ])('%s and Retry-After is asked no more until then, at most for the soft limit', async (_name, status, rule) => {
    const yaml = `bans: { rules: ${rulesFile(rule === '' ? '  - { id: none, when: { status: 418 } }\n' : rule)} }\n`;
    const { origin, proxy, url } = await scene(
      2,
      `${yaml}pacing: { siteDelay: 0ms, slaveDelay: 0ms, softLimit: 400ms }`,
    );
    origin.enqueue(`HTTP/1.1 ${status}\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n`);
    expect((await get(proxy, url, 'X-Crawlera-Max-Retries: 0\r\n')).status).toBe(503);
    expect((await get(proxy, url)).status).toBe(200);
    expect((await get(proxy, url.replace('shop', 'other'))).status).toBe(200);
    const [, slowed, other] = proxy.receipts.map(({ waitedMs }) => waitedMs);
    expect(slowed).toBeGreaterThan(0);
    expect(slowed).toBeLessThan(5_000);
    expect(other).toBe(0);
  });

  it('by a ban of another status is not slowed', async () => {
    const { origin, proxy, url } = await scene(2, 'pacing: { siteDelay: 0ms, slaveDelay: 0ms, softLimit: 100s }');
    origin.enqueue('HTTP/1.1 999 No\r\nRetry-After: 9\r\nContent-Length: 0\r\n\r\n');
    expect((await get(proxy, url)).status).toBe(200);
    expect(proxy.receipts[0]?.waitedMs).toBe(0);
  });
});

describe('bans by a body in a session', () => {
  it('S-14 S-15 S-16 are told with the session id, remembered for the website, and ignored without ban check', async () => {
    const { origin, proxy, url } = await scene(2);
    const created = await call(proxy, 'POST', '/sessions');
    const session = created.body.trim();
    const header = `X-Crawlera-Session: ${session}\r\n`;
    origin.enqueue(BLOCK);
    expectRefusal(await get(proxy, url, header), 'slavebanned', { session });
    expect(origin.requests).toHaveLength(1);
    expectRefusal(await get(proxy, url, header), 'slavebanned', { session });
    expect(origin.requests).toHaveLength(1);
    expect((await get(proxy, url.replace('shop', 'other'), header)).status).toBe(200);
    expect((await get(proxy, url)).status).toBe(200);
    origin.enqueue(BLOCK);
    const unchecked = await get(proxy, url, `${header}X-Crawlera-No-Bancheck: 1\r\n`);
    expect(unchecked).toMatchObject({ status: 200, body: '<title>Pardon Our Interruption</title>' });
    expect((await call(proxy, 'GET', '/sessions')).body).toContain(session);
    expect(outcomes(proxy.receipts)).toContainEqual(['pardon-our-interruption']);
  });
});

describe('A-09b robustness H08 a rule that bans more than half of the upstreams', () => {
  it('stops banning: its hits count for their own request only, which is said once', async () => {
    const { origin, proxy, url } = await scene(6);
    for (let i = 0; i < 12; i++) expect((await get(proxy, url)).status).toBe(200);
    expect(new Set(proxy.receipts.map(({ attempts }) => attempts[0]?.upstream)).size).toBe(6);
    origin.fallback = [BLOCK];
    for (let i = 0; i < 3; i++) expectRefusal(await get(proxy, url), 'slavebanned');
    expect(proxy.said.filter((line) => line.startsWith('ban storm: rule pardon-our-interruption on'))).toHaveLength(1);
    origin.fallback = [GOOD];
    for (let i = 0; i < 4; i++) expect((await get(proxy, url)).status).toBe(200);
    const used = new Set(proxy.receipts.slice(-4).map(({ attempts }) => attempts[0]?.upstream));
    expect(used.size).toBeGreaterThan(1);
  });
});
